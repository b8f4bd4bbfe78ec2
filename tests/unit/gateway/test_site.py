"""The loss of all replicas is one event, and so is the site's return."""

import pytest

from gateway.site import Site
from tests.unit.gateway.manual_clock import ManualClock

NAMES = ["replica-0", "replica-1", "replica-2"]


@pytest.fixture
def site() -> Site:
    return Site(NAMES, window_s=2.0)


def test_at_the_start_nothing_has_happened(site: Site) -> None:
    assert not site.down
    assert site.since is None
    assert site.text == ""


def test_all_lost_at_once_is_one_event(site: Site, clock: ManualClock) -> None:
    assert site.unreachable("replica-0", clock(), "refused") is None
    clock.advance(0.5)
    assert site.unreachable("replica-2", clock(), "refused") is None
    assert not site.down
    clock.advance(1.0)
    event = site.unreachable("replica-1", clock(), "timed out")
    assert event is not None
    assert (event.down, event.at, event.at_once, event.outage_s) == (True, clock(), True, 0)
    assert event.text == "none of the 3 replicas can be reached, lost within 1.5 s: timed out"
    assert (site.down, site.since, site.text) == (True, clock(), event.text)


def test_all_lost_one_by_one_is_told_apart(site: Site, clock: ManualClock) -> None:
    for name in NAMES[:2]:
        site.unreachable(name, clock(), "refused")
        clock.advance(30)
    event = site.unreachable("replica-2", clock(), "refused")
    assert event is not None
    assert not event.at_once
    assert event.text == "none of the 3 replicas can be reached, lost one by one, the last after 60 s: refused"
    assert site.down


def test_a_replica_is_lost_from_its_first_report_on(site: Site, clock: ManualClock) -> None:
    site.unreachable("replica-0", clock(), "refused")
    clock.advance(30)
    for name in NAMES[:2]:
        assert site.unreachable(name, clock(), "refused") is None
    event = site.unreachable("replica-2", clock(), "refused")
    assert event is not None
    assert not event.at_once


def test_while_it_is_down_nothing_more_is_told(site: Site, clock: ManualClock) -> None:
    for name in NAMES:
        site.unreachable(name, clock(), "refused")
    since = site.since
    clock.advance(5)
    assert [site.unreachable(name, clock(), "refused") for name in NAMES] == [None] * 3
    assert site.since == since


def test_the_first_replica_that_answers_brings_it_up_once(site: Site, clock: ManualClock) -> None:
    for name in NAMES:
        site.unreachable(name, clock(), "refused")
    clock.advance(42)
    event = site.reachable("replica-1", clock())
    assert event is not None
    assert (event.down, event.at, event.outage_s) == (False, clock(), 42)
    assert event.text == "replica-1 can be reached again after 42.0 s"
    assert (site.down, site.since, site.text) == (False, clock(), event.text)
    assert site.reachable("replica-0", clock()) is None


def test_one_that_answers_in_between_keeps_the_site_up(site: Site, clock: ManualClock) -> None:
    site.unreachable("replica-0", clock(), "refused")
    site.unreachable("replica-1", clock(), "refused")
    assert site.reachable("replica-0", clock()) is None
    assert site.unreachable("replica-2", clock(), "refused") is None
    assert not site.down


def test_a_link_that_goes_again_is_a_second_event(site: Site, clock: ManualClock) -> None:
    for name in NAMES:
        site.unreachable(name, clock(), "refused")
    site.reachable("replica-1", clock())
    clock.advance(1)
    event = site.unreachable("replica-1", clock(), "refused")
    assert event is not None
    assert event.down


def test_a_single_replica_is_no_site(clock: ManualClock) -> None:
    site = Site(["replica-0"])
    assert site.unreachable("replica-0", clock(), "refused") is None
    assert not site.down
    assert site.reachable("replica-0", clock()) is None
