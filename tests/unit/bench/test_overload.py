import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.open_loop import Answer, evenly_at_random
from tests.bench.overload import Plan, queue_waits
from tests.bench.overload_report import HEAD, HONESTY, Figures, Honesty, row

WHOLE = Answer(0.0, ended_at=2.0, status=200, first_content_s=0.1, tokens=64, whole=True)
REFUSED = Answer(0.0, ended_at=0.1, status=429, retry_after_s=7)
LEFT = Answer(0.0, ended_at=10.0, status=200)
UNCONNECTED = Answer(0.0, ended_at=10.0)
BROKEN = Answer(0.0, ended_at=1.0, status=503, retry_after_s=2)
FULL = Answer(0.0, ended_at=0.3, status=200, broken=True)
CUT_SHORT = replace(WHOLE, whole=False, tokens=0)

PLAN = Plan(3, 2, 4, 0.1, 3, 64, 40.0, 10.0)


def test_every_answer_is_counted_as_one_thing() -> None:
    figures = Figures.of([WHOLE, CUT_SHORT, REFUSED, LEFT, UNCONNECTED, BROKEN, FULL])
    assert (figures.asked, len(figures.first), figures.refused, figures.errors, figures.left) == (7, 2, 1, 2, 2)
    assert figures.whole == 1


def test_only_the_tokens_of_whole_answers_are_good_for_anything() -> None:
    assert Figures.of([WHOLE, WHOLE, replace(CUT_SHORT, tokens=30)]).goodput == 64.0


def test_goodput_counts_the_time_until_the_last_one_has_gone() -> None:
    assert Figures.of([WHOLE, LEFT]).goodput == 6.4


def test_no_answers_make_no_figures() -> None:
    figures = Figures.of([])
    assert (figures.goodput, figures.ms(0.5), figures.times(figures, 0.5)) == (0.0, "-", "-")
    assert len(row("nobody", "0", figures, figures)) == len(HEAD)


def test_ratios_are_by_the_same_percentile_of_the_unloaded_run() -> None:
    unloaded = Figures.of([replace(WHOLE, first_content_s=seconds) for seconds in (0.1, 0.2)])
    loaded = Figures.of([replace(WHOLE, first_content_s=seconds) for seconds in (0.15, 0.5)])
    assert (loaded.times(unloaded, 0.5), loaded.times(unloaded, 0.95)) == ("1.50", "2.50")
    assert loaded.times(Figures.of([LEFT]), 0.5) == "-"


def test_a_row_has_the_share_that_got_a_first_token() -> None:
    figures = Figures.of([WHOLE, REFUSED, REFUSED, REFUSED])
    cells = dict(zip(HEAD, row("gateway", "60.0", figures, figures), strict=True))
    assert (cells["got a token"], cells["429"], cells["TTFT p50 ms"]) == ("25%", "3", "100")


def test_those_that_came_back_are_counted_by_whether_they_got_in() -> None:
    back = [replace(WHOLE, came_back=True), replace(WHOLE, came_back=True), replace(REFUSED, came_back=True)]
    honesty = Honesty.of([WHOLE, REFUSED, replace(REFUSED, retry_after_s=9), *back])
    assert (honesty.told, honesty.back, honesty.let_in) == ((7, 7, 9), 3, 2)
    assert honesty.row("burst") == ["burst", "3", "7", "7", "9", "3", "2", "67%"]


def test_where_nobody_was_refused_nobody_was_told_anything() -> None:
    cells = Honesty.of([WHOLE]).row("quiet")
    assert cells == ["quiet", "0", "-", "-", "-", "0", "0", "-"]
    assert len(cells) == len(HONESTY)


def test_only_waits_of_requests_that_were_served_count(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    told = [("request", "ok", 0.2), ("request", "queue_full", 9.0), ("replica", "ok", 5.0), ("request", "ok", 0.0)]
    lines = [json.dumps({"event": event, "outcome": outcome, "queued_s": wait}) for event, outcome, wait in told]
    log.write_text("\n".join(lines))
    assert queue_waits(log) == (0.0, 0.2)


def test_settings_are_those_of_the_plan() -> None:
    assert PLAN.places == 6
    assert PLAN.toml == "[admission]\nmax_concurrent_per_replica = 2\nmax_queued = 4\nmax_wait_s = 0.1\n"


def test_arrivals_keep_the_rate_and_end_in_time() -> None:
    times = list(evenly_at_random(50.0, 40.0, seed=1))
    assert len(times) == pytest.approx(2000, rel=0.1)
    assert times == sorted(times) and 0 < times[0] and times[-1] < 40.0


def test_the_same_seed_has_the_same_arrivals() -> None:
    assert list(evenly_at_random(5.0, 9.0, 1)) == list(evenly_at_random(5.0, 9.0, 1)) != []
    assert list(evenly_at_random(5.0, 9.0, 1)) != list(evenly_at_random(5.0, 9.0, 2))
