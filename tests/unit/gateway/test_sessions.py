"""A conversation as a value: ids, what of a history a model is sent, and what a client may send as one."""

from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ContextLengthExceeded, InvalidField
from gateway.sessions import Message, check_previous, exchanges, first_to_keep, is_id, new_id, window

SYSTEM: Message = {"role": "system", "content": "You are Scout."}
ASKED: Message = {"role": "user", "content": "And in red?"}


def user(text: str = "q") -> Message:
    return {"role": "user", "content": text}


def said(text: str = "a") -> Message:
    return {"role": "assistant", "content": text}


def called(*ids: str, text: str | None = None) -> Message:
    calls = [{"id": i, "type": "function", "function": {"name": "find", "arguments": "{}"}} for i in ids]
    return {"role": "assistant", "content": text, "tool_calls": calls}


def result(call_id: str) -> Message:
    return {"role": "tool", "tool_call_id": call_id, "content": "[]"}


def sent(history: list[Message], limit_tokens: int, each: int = 10) -> list[Message]:
    return window(SYSTEM, history, ASKED, counts=[each] * (len(history) + 2), limit_tokens=limit_tokens)


# ---- ids


def test_an_id_is_made_of_sixteen_random_bytes_and_is_known_again() -> None:
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return b"\xff" * count

    assert new_id(random_bytes) == "s_" + "_" * 21 + "w"
    assert asked == [16]
    assert is_id(new_id(random_bytes))


@given(st.binary(min_size=16, max_size=16))
def test_every_id_that_is_made_looks_like_one(random: bytes) -> None:
    assert is_id(new_id(lambda count: random))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("s_" + "a" * 21, id="too short"),
        pytest.param("s_" + "A" * 23, id="too long"),
        pytest.param("x_" + "A" * 22, id="another beginning"),
        pytest.param("s_" + "A" * 21 + "B", id="bits that no sixteen bytes have"),
        pytest.param("s_" + "A" * 21 + "/", id="a slash"),
        pytest.param("s_" + "A" * 22 + "\n", id="a line break after it"),
    ],
)
def test_what_is_not_ours_does_not_look_like_ours(text: str) -> None:
    assert not is_id(text)


# ---- exchanges


def test_an_exchange_is_a_question_and_all_up_to_the_next() -> None:
    history = [user(), called("1"), result("1"), said(), user(), user(), said()]
    assert exchanges(history) == [(0, 4), (4, 5), (5, 7)]


def test_what_stands_before_the_first_question_is_one_of_its_own() -> None:
    assert exchanges([said("Welcome."), said("I am Scout."), user(), said()]) == [(0, 2), (2, 4)]


def test_nothing_has_no_exchanges() -> None:
    assert exchanges([]) == []


# ---- the window


def test_what_fits_is_sent_whole() -> None:
    history = [user(), said(), user(), said()]
    assert sent(history, 60) == [SYSTEM, *history, ASKED]


def test_the_oldest_exchange_goes_first_and_goes_whole() -> None:
    history = [user("1"), called("c"), result("c"), said("1"), user("2"), said("2")]
    assert sent(history, 79) == [SYSTEM, *history[4:], ASKED]
    assert sent(history, 80) == [SYSTEM, *history, ASKED]
    assert sent(history, 39) == [SYSTEM, ASKED]


def test_an_older_exchange_is_not_sent_without_the_newer_one() -> None:
    history = [user("small"), said("small"), user("big"), said("big")]
    counts = [1, 1, 1, 500, 500, 1]
    assert window(SYSTEM, history, ASKED, counts=counts, limit_tokens=100) == [SYSTEM, ASKED]


def test_instructions_and_message_may_fill_the_limit_by_themselves() -> None:
    assert sent([user(), said()], 20) == [SYSTEM, ASKED]


def test_a_message_that_does_not_fit_by_itself_is_refused_with_the_room_that_there_is() -> None:
    with pytest.raises(ContextLengthExceeded, match="12 tokens are left for a message, and this one has 13") as caught:
        window(SYSTEM, [user(), said()], ASKED, counts=[88, 1, 1, 13], limit_tokens=100)
    assert caught.value.param == "message"


def test_where_the_instructions_alone_are_too_long_no_room_is_left() -> None:
    with pytest.raises(ContextLengthExceeded, match=" 0 tokens are left"):
        window(SYSTEM, [], ASKED, counts=[101, 1], limit_tokens=100)


@pytest.mark.parametrize("counts", [[1, 1], [1, 1, 1, 1]])
def test_counts_of_another_history_are_a_fault(counts: list[int]) -> None:
    with pytest.raises(ValueError, match="counts for 3 messages"):
        window(SYSTEM, [user()], ASKED, counts=counts, limit_tokens=100)


def test_a_call_whose_result_is_missing_is_not_sent_and_what_was_said_beside_it_is() -> None:
    broken = [user("1"), called("a", "b", text="Let me look."), result("a")]
    assert sent([*broken, user("2"), said("2")], 1000) == [
        *(SYSTEM, user("1"), said("Let me look."), user("2"), said("2"), ASKED)
    ]


def test_a_call_without_result_or_text_leaves_nothing() -> None:
    assert sent([user("1"), called("a"), user("2"), said("2")], 1000) == [
        SYSTEM,
        user("1"),
        user("2"),
        said("2"),
        ASKED,
    ]


def test_the_result_of_another_call_of_the_same_id_does_not_count() -> None:
    whole = [user("1"), called("call_0"), result("call_0"), said("1")]
    assert sent([*whole, user("2"), called("call_0")], 1000) == [SYSTEM, *whole, user("2"), ASKED]


STEPS = st.sampled_from(
    [
        [said()],
        [called("a"), result("a"), said()],
        [called("a", "b"), result("b"), result("a")],
        [called("a", "b", text="hm"), result("a")],
        [called("a")],
    ]
)
HISTORIES = st.lists(st.lists(STEPS, max_size=3), max_size=5)
"""Exchanges, each of them the steps after its question; in some of them a call was never answered."""


@given(HISTORIES, st.integers(20, 400))
def test_whatever_fits_every_result_has_its_call_and_every_call_its_results(
    told: list[list[list[Message]]], limit: int
) -> None:
    history = list[Message]()
    for steps in told:
        history += [user(), *chain.from_iterable(steps)]
    first, *kept, last = sent(history, limit)
    assert (first, last) == (SYSTEM, ASKED)
    assert (len(kept) + 2) * 10 <= limit
    assert not kept or kept[0]["role"] == "user"
    open_calls: set[str] = set()
    for message in kept:
        if message["role"] == "tool":
            open_calls.remove(message["tool_call_id"])
            continue
        assert not open_calls
        open_calls = {call["id"] for call in message.get("tool_calls") or ()}
    assert not open_calls


# ---- the bounds of what is kept


def test_within_both_bounds_all_is_kept() -> None:
    assert first_to_keep([user(), said()], [5, 5], max_messages=2, max_bytes=10) == 0


@pytest.mark.parametrize(
    ("max_messages", "max_bytes", "first"),
    [
        pytest.param(5, 1000, 2, id="a message too many"),
        pytest.param(4, 1000, 2, id="two too many"),
        pytest.param(3, 1000, 4, id="half an exchange is none"),
        pytest.param(100, 59, 2, id="a byte too many"),
        pytest.param(100, 60, 0, id="not one too many"),
    ],
)
def test_the_oldest_exchanges_beyond_a_bound_go(max_messages: int, max_bytes: int, first: int) -> None:
    messages = [user(), said(), user(), said(), user(), said()]
    assert first_to_keep(messages, [10] * 6, max_messages=max_messages, max_bytes=max_bytes) == first


def test_the_last_exchange_is_kept_whatever_its_size() -> None:
    assert first_to_keep([user(), said(), user(), said()], [1, 1, 50, 50], max_messages=1, max_bytes=1) == 2


def test_of_nothing_nothing_is_kept() -> None:
    assert first_to_keep([], [], max_messages=1, max_bytes=1) == 0


# ---- a client's own history


def checked(previous: Any) -> list[Message]:
    return check_previous(previous, max_messages=4, max_chars=10)


def test_what_both_have_said_is_taken_and_nothing_else_of_it() -> None:
    given = [{"role": "user", "content": "Hi", "id": "m1"}, {"role": "assistant", "content": "Hello", "tool_calls": []}]
    assert checked(given) == [user("Hi"), said("Hello")]


def test_the_texts_of_a_message_in_parts_are_put_together() -> None:
    parts = [
        {"type": "step-start"},
        {"type": "text", "text": "Hel"},
        {"type": "tool-find", "text": "not this"},
        "nor this",
        {"type": "text"},
        {"type": "text", "text": "lo"},
    ]
    assert checked([{"role": "assistant", "parts": parts}]) == [said("Hello")]


@pytest.mark.parametrize("parts", [[], [{"type": "tool-find", "output": "x"}], [{"type": "text", "text": ""}]])
def test_a_message_without_text_is_left_out(parts: list[Any]) -> None:
    assert checked([{"role": "assistant", "parts": parts}, {"role": "user", "content": ""}]) == []


@pytest.mark.parametrize("previous", [None, []])
def test_no_history_is_none(previous: Any) -> None:
    assert checked(previous) == []


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        *(({"role": role, "content": "x"}, ".role: must be") for role in ("system", "tool", "developer", 1, None, [])),
        ({"content": "x"}, ".role: must be"),
        ("hello", ": must be an object"),
        (None, ": must be an object"),
        ({"role": "user"}, ".content: must be text"),
        ({"role": "user", "content": 7}, ".content: must be text"),
        ({"role": "user", "content": None, "parts": "x"}, ".content: must be text"),
        ({"role": "user", "content": "x" * 11}, ".content: 11 characters; at most 10"),
        ({"role": "user", "parts": [{"type": "text", "text": "x" * 11}]}, ".content: 11 characters; at most 10"),
    ],
)
def test_what_is_not_something_said_is_refused_by_its_place(message: Any, problem: str) -> None:
    with pytest.raises(InvalidField) as caught:
        checked([user("fine"), message])
    assert caught.value.message.startswith(f"previousMessages[1]{problem}")
    assert caught.value.param == "previousMessages[1]"


@pytest.mark.parametrize("previous", ["hello", {"role": "user"}, 3, True])
def test_what_is_no_list_is_refused(previous: Any) -> None:
    with pytest.raises(InvalidField, match="must be a list") as caught:
        checked(previous)
    assert caught.value.param == "previousMessages"


def test_a_history_longer_than_the_bound_is_refused() -> None:
    assert len(checked([user()] * 4)) == 4
    with pytest.raises(InvalidField, match="5 messages; at most 4 are allowed"):
        checked([user()] * 5)
