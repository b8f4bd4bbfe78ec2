"""The waiting line: who is next, who is turned away, and that nothing is left of those who went."""

import gc
import weakref
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.line import Line, Priority, Ticket
from gateway.settings import Admission

NOW = 1000.0
AGES_S = 5.0
PLENTY = Admission(max_queued=1000, batch_ages_s=AGES_S)
RESUME, INTERACTIVE, BATCH = Priority

ARRIVALS = st.lists(st.tuples(st.sampled_from(Priority), st.integers(0, 20)), max_size=30)
"""Requests as their priority and the whole seconds since the one before; some of them come at the same moment."""


def join(line: Line, priority: Priority = INTERACTIVE, now: float = NOW, give_up_at: float = NOW + 10) -> Ticket:
    ticket = line.join(priority, now, give_up_at=give_up_at, excluded=frozenset(), payload=None)
    assert ticket is not None
    return ticket


def refused(line: Line, priority: Priority) -> bool:
    return line.join(priority, NOW, give_up_at=NOW + 10, excluded=frozenset(), payload=None) is None


def join_all(line: Line, arrivals: list[tuple[Priority, int]]) -> list[Ticket]:
    now, tickets = NOW, []
    for priority, pause in arrivals:
        now += pause
        tickets.append(join(line, priority, now))
    return tickets


class Payload:
    """Something that can be watched for being let go."""


# ---- who is next


def test_first_come_first_served() -> None:
    line = Line(PLENTY)
    tickets = [join(line, now=NOW + second) for second in range(4)]
    assert list(line) == tickets


def test_of_two_who_come_at_the_same_moment_the_first_is_served_first() -> None:
    line = Line(PLENTY)
    tickets = [join(line) for _ in range(4)]
    assert list(line) == tickets


def test_a_resume_passes_everybody() -> None:
    line = Line(PLENTY)
    batch, interactive = join(line, BATCH), join(line)
    resume = join(line, RESUME, NOW + 60)
    assert list(line) == [resume, interactive, batch]


@pytest.mark.parametrize(
    ("seconds_later", "passes"),
    [
        pytest.param(AGES_S - 0.001, True, id="within its age"),
        pytest.param(AGES_S, False, id="at its age the ticket's number decides"),
        pytest.param(AGES_S + 0.001, False, id="after its age"),
    ],
)
def test_batch_lets_interactive_ones_pass_only_for_a_while(seconds_later: float, passes: bool) -> None:
    line = Line(PLENTY)
    batch = join(line, BATCH)
    interactive = join(line, now=NOW + seconds_later)
    assert (next(iter(line)) is interactive) == passes
    assert line.position(batch) == int(passes)


def test_with_no_age_batch_waits_like_everybody() -> None:
    line = Line(Admission(batch_ages_s=0))
    batch = join(line, BATCH)
    interactive = join(line)
    assert list(line) == [batch, interactive]


@given(ARRIVALS)
def test_the_order_is_that_of_the_ages_at_any_time(arrivals: list[tuple[Priority, int]]) -> None:
    line = Line(PLENTY)
    tickets = join_all(line, arrivals)

    def age(ticket: Ticket, now: float) -> float:
        return now - ticket.joined_at - (AGES_S if ticket.priority is BATCH else 0)

    for now in (NOW, NOW + 7, NOW + 1_000_000):
        by_age = sorted(tickets, key=lambda ticket: (ticket.priority is not RESUME, -age(ticket, now)))
        assert list(line) == by_age


@given(ARRIVALS)
def test_nobody_but_a_resume_passes_a_batch_request_that_has_aged(arrivals: list[tuple[Priority, int]]) -> None:
    line = Line(PLENTY)
    join_all(line, arrivals)
    for ahead, behind in pairwise(ticket for ticket in line if ticket.priority is not RESUME):
        assert behind.priority is not BATCH or ahead.joined_at <= behind.joined_at + AGES_S


@given(ARRIVALS)
def test_a_position_is_the_place_in_the_order_of_service(arrivals: list[tuple[Priority, int]]) -> None:
    line = Line(PLENTY)
    join_all(line, arrivals)
    assert [line.position(ticket) for ticket in line] == list(range(len(arrivals)))


def test_the_line_may_change_while_one_walks_along_it() -> None:
    line = Line(PLENTY)
    tickets = [join(line) for _ in range(4)]
    walked = []
    for ticket in line:
        walked.append(ticket)
        line.leave(ticket)
        join(line)
    assert walked == tickets
    assert line.waiting() == 4


# ---- who is turned away


def test_over_the_bound_one_is_refused_until_somebody_leaves() -> None:
    line = Line(Admission(max_queued=2))
    first = join(line)
    join(line, BATCH)
    assert refused(line, INTERACTIVE)
    assert refused(line, BATCH)
    line.leave(first)
    assert not refused(line, INTERACTIVE)


def test_with_a_bound_of_nothing_nobody_waits() -> None:
    line = Line(Admission(max_queued=0))
    assert refused(line, INTERACTIVE)
    assert line.waiting() == 0


def test_a_resume_is_never_refused_and_takes_nobodys_room() -> None:
    line = Line(Admission(max_queued=1))
    for _ in range(3):
        join(line, RESUME)
    join(line)
    assert refused(line, INTERACTIVE)
    assert not refused(line, RESUME)
    assert [line.waiting(priority) for priority in Priority] == [4, 1, 0]


# ---- leaving


def test_who_has_left_is_nowhere() -> None:
    line = Line(PLENTY)
    ticket, other = join(line), join(line, now=NOW + 1)
    line.leave(ticket)
    assert list(line) == [other]
    assert line.position(other) == 0
    assert line.waiting() == line.waiting(INTERACTIVE) == 1
    with pytest.raises(ValueError, match="ticket 1 is not in the line"):
        line.position(ticket)


def test_leaving_twice_is_leaving_once() -> None:
    line = Line(PLENTY)
    ticket, other = join(line), join(line)
    line.leave(ticket)
    line.leave(ticket)
    assert list(line) == [other]
    line.leave(other)
    line.leave(other)
    assert [line.waiting(), *map(line.waiting, Priority)] == [0, 0, 0, 0]


def test_nothing_is_kept_of_a_ticket_that_has_left() -> None:
    line = Line(PLENTY)
    payload = Payload()
    gone = weakref.ref(payload)
    ticket = line.join(INTERACTIVE, NOW, give_up_at=NOW + 10, excluded=frozenset(), payload=payload)
    assert ticket is not None
    line.leave(ticket)
    del ticket, payload
    gc.collect()
    assert gone() is None


def test_a_ticket_knows_what_it_was_given() -> None:
    payload, excluded = object(), frozenset({"replica-1"})
    line = Line(PLENTY)
    ticket = line.join(BATCH, NOW, give_up_at=NOW + 3, excluded=excluded, payload=payload)
    assert ticket is not None
    assert (ticket.priority, ticket.joined_at, ticket.give_up_at) == (BATCH, NOW, NOW + 3)
    assert ticket.excluded is excluded
    assert ticket.payload is payload
    assert join(line).number > ticket.number


# ---- giving up


def test_nobody_waits_so_nobody_gives_up() -> None:
    line = Line(PLENTY)
    assert line.next_expiry() is None
    assert line.expired(NOW) == []


def test_the_first_to_give_up_need_not_be_the_next_in_line() -> None:
    line = Line(PLENTY)
    join(line, give_up_at=NOW + 10)
    hasty = join(line, now=NOW + 1, give_up_at=NOW + 2)
    assert line.next_expiry() == NOW + 2
    assert line.expired(NOW + 2) == [hasty]


def test_time_is_up_at_the_very_moment_and_the_longest_overdue_is_first() -> None:
    line = Line(PLENTY)
    last, first, later = (join(line, give_up_at=NOW + seconds) for seconds in (5, 3, 9))
    assert line.expired(NOW + 2.999) == []
    assert line.expired(NOW + 5) == [first, last]
    assert line.expired(NOW + 5) == [first, last], "they stay until they leave"
    for ticket in line.expired(NOW + 5):
        line.leave(ticket)
    assert list(line) == [later]
    assert line.next_expiry() == NOW + 9


JOINS = st.tuples(st.sampled_from(Priority), st.integers(0, 2), st.integers(0, 9))
"""A priority, the seconds since the operation before, and those it is ready to wait."""


@given(st.lists(st.one_of(JOINS, st.integers(0, 40)), max_size=60))
def test_the_line_is_what_a_list_sorted_anew_each_time_would_be(
    operations: list[tuple[Priority, int, int] | int],
) -> None:
    line, now = Line(Admission(max_queued=4, batch_ages_s=3)), NOW
    ever, live = list[Ticket](), list[Ticket]()
    for operation in operations:
        if isinstance(operation, int):  # the number of one who leaves, and has perhaps left before
            for ticket in ever[operation : operation + 1]:
                line.leave(ticket)
                live = [other for other in live if other is not ticket]
        else:
            priority, pause, patience = operation
            now += pause
            full = sum(ticket.priority is not RESUME for ticket in live) >= 4
            joined = line.join(priority, now, give_up_at=now + patience, excluded=frozenset(), payload=None)
            assert (joined is None) == (full and priority is not RESUME)
            ever += [joined] if joined else []
            live += [joined] if joined else []
        assert list(line) == sorted(
            live, key=lambda t: (t.priority is not RESUME, t.joined_at + (3 if t.priority is BATCH else 0), t.number)
        )
        overdue = [ticket for ticket in live if ticket.give_up_at <= now]
        assert line.expired(now) == sorted(overdue, key=lambda t: (t.give_up_at, t.number))
        assert line.next_expiry() == min((ticket.give_up_at for ticket in live), default=None)
        assert [line.waiting(p) for p in Priority] == [sum(t.priority is p for t in live) for p in Priority]
