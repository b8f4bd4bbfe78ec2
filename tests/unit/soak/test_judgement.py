from dataclasses import replace

import pytest

from tests.soak.judgement import (
    SHOWN,
    Bounds,
    Growth,
    Reading,
    leftovers,
    memory_problems,
    over_time,
    slope,
    too_many_sockets,
)

IDLE = Reading(0.0, 0, 60_000.0, 20, 7, 5, 0, 0, 0)


def run(*rss_kib: float, requests: int = 100) -> list[Reading]:
    """A reading a second with these sizes, so many requests between two of them."""
    return [replace(IDLE, at_s=float(at), requests=at * requests, rss_kib=size) for at, size in enumerate(rss_kib)]


def leaking(bytes_per_request: float, readings: int = 120) -> list[Reading]:
    return run(*(60_000 + at * 100 * bytes_per_request / 1024 for at in range(readings)))


def problems(readings: list[Reading], bounds: Bounds | None = None) -> list[str]:
    return list(memory_problems(Growth.of(readings), bounds or Bounds()))


def test_slope_is_that_of_the_line_through_points_on_a_line() -> None:
    assert slope([0, 1, 2, 3], [5, 7, 9, 11]) == 2


def test_slope_of_scattered_points_is_little_exceeded() -> None:
    assert slope([0, 1, 2], [0, 3, 0]) == 0  # of -3, 0 and 3
    assert slope([0, 1, 1, 3], [0, 2, 9, 3]) == 1  # of -3, 0.5, 1, 2 and 9: two points above each other have none


@pytest.mark.parametrize("at", [5, 30, 55])
def test_one_step_of_the_allocator_is_no_leak_wherever_it_comes(at: int) -> None:
    assert problems(run(*[74_000] * 60, *[74_000] * at, *[76_600] * (60 - at), requests=80)) == []


def test_steps_that_go_on_are_a_leak() -> None:
    steps = run(*(74_000 + 1_200 * (at // 15) for at in range(120)))
    assert problems(steps, Bounds(ratio=2.0)) == [f"memory grows with the requests: {Growth.of(steps)}"]


def test_growth_is_of_the_second_half_only() -> None:
    growth = Growth.of(run(10, 20, 30, 40, 100, 101, 102, 103))
    assert growth.requests == 300
    assert growth.kib_per_minute == pytest.approx(60)
    assert growth.bytes_per_request == pytest.approx(10.24)
    assert (growth.earlier_kib, growth.later_kib) == (100.5, 102.5)


def test_what_fills_up_in_the_first_half_is_no_leak() -> None:
    assert problems(run(*range(40_000, 70_000, 500), *[70_000] * 60)) == []


def test_memory_that_shrinks_is_no_leak() -> None:
    assert problems(leaking(-2000)) == []


def test_a_forgotten_answer_of_each_request_is_found_in_a_short_run() -> None:
    assert "grows with the requests" in problems(leaking(4096, 40))[0]


def test_a_forgotten_ledger_entry_of_each_request_is_found_in_a_long_run() -> None:
    assert problems(leaking(1024, 40)) == []  # less than what the allocator may keep
    assert "grows with the requests" in problems(leaking(1024, 120))[0]


def test_what_stays_within_the_bound_for_each_request_is_never_found() -> None:
    assert problems(leaking(48, 300), Bounds(ratio=2.0)) == []


def test_a_step_near_the_end_is_found_by_the_medians() -> None:
    steps = run(*[60_000] * 90, *[64_000] * 30)
    assert problems(steps, Bounds(slack_kib=10_000)) == [
        f"memory is 6.7% larger at the end: {Growth.of(steps)}",
    ]


def test_nothing_is_left_over_when_all_is_as_before() -> None:
    assert list(leftovers(IDLE, replace(IDLE, at_s=9.0, requests=900, rss_kib=90_000.0))) == []


def test_fewer_sockets_than_before_are_no_leftovers() -> None:
    assert list(leftovers(IDLE, replace(IDLE, fds=14, sockets=1))) == []


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("in_flight", 1, "1 requests still hold something: places"),
        ("waiting", 2, "2 requests still hold something: in the queue"),
        ("open_requests", 3, "3 requests still hold something: open"),
        ("sockets", 8, "8 sockets are left, 7 there were before the traffic"),
        ("fds", 21, "21 file descriptors are left, 20 there were before the traffic"),
        ("threads", 6, "6 threads are left, 5 there were before the traffic"),
    ],
)
def test_each_thing_that_is_left_over_is_named(field: str, value: int, told: str) -> None:
    assert list(leftovers(IDLE, replace(IDLE, **{field: value}))) == [told]


def test_what_is_held_is_all_that_the_gateway_believes_to_be_under_way() -> None:
    assert replace(IDLE, in_flight=1, waiting=2, open_requests=4).held == 7


def test_sockets_are_bounded_while_requests_run() -> None:
    readings = [replace(IDLE, sockets=count) for count in (7, 40, 12)]
    assert list(too_many_sockets(readings, 40)) == []
    assert list(too_many_sockets(readings, 39)) == [
        "40 sockets were open at once, and 39 are the most that can be needed"
    ]


def test_a_long_run_is_shown_in_few_rows_with_its_ends() -> None:
    rows = over_time(run(*[1.0] * 500)).splitlines()[2:]
    assert len(rows) == SHOWN
    assert rows[0].split("|")[1].strip() == "0"
    assert rows[-1].split("|")[1].strip() == "499"


def test_a_short_run_is_shown_whole() -> None:
    assert len(over_time(run(1.0, 2.0, 3.0)).splitlines()) == 5
