"""The client hears one answer, told once, whatever legs it came in."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.narrator import Narrator
from gateway.ports import Chunk
from gateway.wire.text import TextEncoder
from shared.headers import RESUMED
from tests.unit.gateway import chunks
from tests.unit.gateway.chunks import PROMPT, comment, finish, role, text, usage
from tests.unit.gateway.listener import events, heard, narrator

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
CALL: dict[str, Any] = {"delta": {"tool_calls": [{"index": 0, "function": {"name": "search"}}]}}


def plain(told: Sequence[Chunk]) -> str:
    return TextEncoder().encode(told).decode()


def told_after_a_break(narrator: Narrator, heard: Sequence[Chunk], rest: Sequence[Chunk]) -> list[Chunk]:
    """The first leg brings `heard` and breaks, the second one brings `rest`; what the client sees of the second."""
    narrator.tell(list(heard))
    assert narrator.why_not == ""
    assert isinstance(narrator.next_leg(), dict)
    return narrator.tell(list(rest))


# ---- the first leg


@pytest.mark.parametrize(
    "fields",
    [{}, {"n": 2}, {"stream_options": {"include_usage": True}}, {"return_token_ids": True}, {"logprobs": True}],
    ids=str,
)
def test_the_first_leg_passes_byte_for_byte(fields: dict[str, Any]) -> None:
    leg = [role(), comment(), text("Hel", 10), text("lo", 11), finish("stop", 4), usage(3, 3)]
    teller = narrator(**fields)
    assert [chunk.raw for one in leg for chunk in teller.tell([one])] == [chunk.raw for chunk in leg]
    assert teller.end() == []
    assert (teller.finish_reason, teller.all_said, teller.unfinished) == ("stop", True, False)


def test_the_first_leg_is_asked_for_what_a_seam_needs() -> None:
    leg = narrator(stop=["x"]).first_leg()
    assert leg["return_token_ids"] is True
    assert leg["include_stop_str_in_output"] is True
    assert leg["stream_options"] == {"include_usage": True}
    assert "return_token_ids" not in narrator(n=2).first_leg()


@pytest.mark.parametrize("fields", [{"logprobs": True}, {"return_token_ids": True}], ids=str)
def test_what_a_token_carries_is_kept_back_until_its_text_comes(fields: dict[str, Any]) -> None:
    teller = narrator(**fields)
    half, rest = text("", 195), text("é", 169)
    assert teller.tell([role(), half]) == [role()]
    assert teller.tell([comment()]) == []  # nor does a keep-alive bring out what was kept
    assert teller.tell([rest]) == [half, comment(), rest]


def test_what_was_kept_back_at_a_break_is_told_by_the_next_leg_alone() -> None:
    teller = narrator(logprobs=True)
    rest = [role(leg=1), text("", 195, leg=1), text("é", 169, leg=1)]
    shown = events(told_after_a_break(teller, [role(), text("a", 10), text("", 195)], rest))
    assert [event["choices"][0]["delta"] for event in shown] == [{"content": "é"}]
    assert teller.next_leg()["kv_transfer_params"] == {"prompt_token_ids": [*PROMPT, 10, 195, 169]}  # type: ignore[call-overload]


def test_nothing_is_kept_back_of_an_answer_without_odds_or_ids() -> None:
    teller = narrator()
    half = text("", 195)
    assert teller.tell([role(), half]) == [role(), half]


# ---- what can be said of it


def test_before_anything_has_come_nothing_is_said_produced_or_counted() -> None:
    teller = narrator()
    assert (teller.all_said, teller.unfinished, teller.produced, teller.usage) == (False, True, False, {})
    assert teller.end() == []


def test_a_leg_has_produced_something_once_it_brought_text_of_its_own() -> None:
    teller = narrator()
    teller.tell([role()])
    assert not teller.produced
    teller.tell([text("a", 10)])
    assert teller.produced
    teller.next_leg()
    teller.tell([role(leg=1)])
    assert not teller.produced
    teller.tell([text("b", 11, leg=1)])
    assert teller.produced


def test_an_answer_that_cannot_go_on_has_produced_something_with_its_first_chunk() -> None:
    teller = narrator(n=2)
    assert not teller.produced
    teller.tell([role(prompt=())])
    assert teller.produced


def test_each_of_several_answers_must_end() -> None:
    teller = narrator(n=2)
    teller.tell([role(0), role(1), text("a"), text("b", index=1), finish("stop", index=1)])
    assert (teller.unfinished, teller.all_said) == (True, False)
    teller.tell([finish("length", index=0)])
    assert (teller.unfinished, teller.all_said, teller.finish_reason) == (False, True, "length")
    assert teller.usage == {}
    assert teller.end() == []  # where no ids are there is nothing to count


@pytest.mark.parametrize(
    ("fields", "heard", "reason"),
    [
        pytest.param({"n": 2}, [], "n: several answers share one stream", id="n"),
        pytest.param({}, [text("", 11, **CALL)], "a tool call or reasoning has begun", id="a tool call"),
        pytest.param({}, [text("b")], "the engine did not give the token ids", id="no ids"),
        pytest.param({}, [text("bc", 11, 12)], "several tokens came at once", id="a doubt"),
    ],
)
def test_what_cannot_go_on_says_why(fields: dict[str, Any], heard: list[Chunk], reason: str) -> None:
    teller = narrator(**fields)
    teller.tell([role(), text("a", 10), *heard])
    assert teller.why_not.startswith(reason)


def test_usage_is_counted_by_us_until_the_engines_count_comes() -> None:
    teller = narrator()
    teller.tell([role(), text("a", 10), text("b", 11)])
    assert teller.usage == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    teller.tell([finish("stop", 4), usage(30, 40)])
    assert teller.usage["total_tokens"] == 70


def test_a_running_count_beside_the_text_is_not_the_last_word() -> None:
    teller = narrator(stream_options={"continuous_usage_stats": True})
    counted = {"prompt_tokens": 3, "total_tokens": 4, "completion_tokens": 1}
    running = chunks.of({**json.loads(text("a", 10).raw[6:]), "usage": counted})
    teller.tell([role(), running, text("b", 11), finish("stop", 4)])
    (last,) = events(teller.end())
    assert (last["choices"], last["usage"]) == ([], {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6})


def test_a_running_count_serves_where_there_are_no_ids_to_count() -> None:
    teller = narrator(n=2)
    counted = {"prompt_tokens": 3, "total_tokens": 4, "completion_tokens": 1}
    teller.tell([chunks.of({**json.loads(text("a").raw[6:]), "usage": counted})])
    assert teller.usage == counted


# ---- the second leg


def test_the_second_leg_goes_on_as_the_first_one() -> None:
    rest = [role(leg=1), text("lo", 11, leg=1), finish("stop", 4, leg=1), usage(4, 2, leg=1)]
    shown = events(told_after_a_break(narrator(), [role(), text("Hel", 10)], rest))
    ours = chunks.frame(0)
    assert all({name: event[name] for name in ours} == ours for event in shown)
    assert [[choice["delta"] for choice in event["choices"]] for event in shown] == [[{"content": "lo"}], [{}], []]
    assert [event.get(RESUMED) for event in shown] == [None, 1, 1]
    assert shown[-1]["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    assert "token_ids" not in json.dumps(shown)


def test_the_second_legs_comments_pass() -> None:
    assert told_after_a_break(narrator(), [role(), text("a", 10)], [comment()]) == [comment()]


def test_ids_are_told_in_the_second_leg_to_whom_they_were_promised() -> None:
    told = told_after_a_break(narrator(return_token_ids=True), [role(), text("a", 10)], [text("b", 11, leg=1)])
    assert events(told, wants_ids=True)[0]["choices"][0]["token_ids"] == [11]


def test_a_second_resume_counts_on_from_the_first() -> None:
    teller = narrator()
    told_after_a_break(teller, [role(), text("a", 10)], [role(leg=1), text("b", 11, leg=1)])
    teller.next_leg()
    shown = events(teller.tell([role(leg=2), text("c", 12, leg=2), finish("stop", 4, leg=2), usage(5, 2, leg=2)]))
    assert shown[-1]["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert (shown[-1]["id"], shown[-1][RESUMED]) == ("chatcmpl-0", 2)
    assert teller.usage == shown[-1]["usage"]


def test_a_second_leg_without_its_count_is_counted_by_us() -> None:
    teller = narrator()
    told_after_a_break(teller, [role(), text("a", 10)], [role(leg=1), finish("stop", 4, leg=1)])
    assert teller.all_said
    (last,) = events(teller.end())
    assert last["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert last[RESUMED] == 1
    assert teller.end() == []


# ---- breaks at the very end


def test_when_only_the_count_was_lost_we_count() -> None:
    teller = narrator()
    teller.tell([role(), text("a", 10), finish("stop", 4)])
    assert teller.all_said
    told = teller.end()
    (last,) = events(told)
    assert last == {
        **chunks.frame(0),
        "choices": [],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
    assert events(told, wants_usage=False) == []
    assert teller.end() == []


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_a_limit_reached_at_the_break_is_the_end(limit: str) -> None:
    teller = narrator(**{limit: 2})
    teller.tell([role(), text("a", 10), text("b", 11)])
    rest = teller.next_leg()
    assert isinstance(rest, list)
    ending, counted = events(rest)
    assert (ending["choices"][0]["finish_reason"], ending["choices"][0]["delta"]) == ("length", {})
    assert counted["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert (teller.finish_reason, teller.all_said, plain(rest)) == ("length", True, "")


def test_what_was_held_back_is_told_where_a_limit_was_reached_at_the_break() -> None:
    teller = narrator(max_tokens=2, stop=["xyz"])
    shown = plain(teller.tell([role(), text("ab", 10), text("cd", 11)]))
    rest = teller.next_leg()
    assert isinstance(rest, list)
    assert (shown, plain(rest)) == ("ab", "cd")


# ---- stop strings


@pytest.mark.parametrize(("include", "expected"), [(None, "one "), (False, "one "), (True, "one two")])
def test_a_stop_string_ends_the_answer_and_is_told_by_its_name(include: bool | None, expected: str) -> None:
    teller = narrator(stop=["two"], **({} if include is None else {"include_stop_str_in_output": include}))
    told = teller.tell([role(), text("one ", 10), text("t", 11), text("wo!", 12), text("never", 13)])
    assert plain(told) == expected
    assert (teller.complete, teller.all_said, teller.finish_reason) == (True, True, "stop")
    ending, counted = events(told)[-2:]
    assert (ending["choices"][0]["finish_reason"], ending["choices"][0]["stop_reason"]) == ("stop", "two")
    assert counted["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}


@pytest.mark.parametrize(("include", "expected"), [(False, "one "), (True, "one two")])
def test_a_stop_string_across_the_seam_ends_the_answer(include: bool, expected: str) -> None:
    teller = narrator(stop="two", include_stop_str_in_output=include)
    first = teller.tell([role(), text("one ", 10), text("t", 11)])
    teller.next_leg()
    second = teller.tell([role(leg=1), text("wo", 12, leg=1), text("never", 13, leg=1)])
    assert plain([*first, *second]) == expected
    ending, counted = events(second)
    assert (ending["choices"][0]["finish_reason"], ending[RESUMED], counted[RESUMED]) == ("stop", 1, 1)
    assert counted["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}


def test_a_stop_string_completed_by_the_last_token_that_is_allowed_is_a_stop() -> None:
    teller = narrator(stop=["two"], max_tokens=2)
    rest = [role(leg=1), text("wo", 12, leg=1, finish="length"), usage(4, 1, leg=1)]
    ending, counted = events(told_after_a_break(teller, [role(), text("t", 11)], rest))
    assert (ending["choices"][0]["finish_reason"], ending["choices"][0]["stop_reason"]) == ("stop", "two")
    assert counted["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert teller.finish_reason == "stop"


def test_what_was_held_back_is_told_when_the_answer_ends_by_itself() -> None:
    teller = narrator(stop=["xyz"])
    assert plain(teller.tell([role(), text("abc", 10)])) == "a"
    assert plain(teller.tell([finish("stop", 4), usage(3, 2)])) == "bc"
    assert not teller.complete


@pytest.mark.parametrize(("wants_ids", "ids"), [(False, None), (True, [10])])
def test_ids_in_an_answer_that_is_cut_by_us_are_for_those_who_asked(wants_ids: bool, ids: list[int] | None) -> None:
    teller = narrator(stop=["x"], return_token_ids=wants_ids)
    _, shown = events(teller.tell([role(), text("a", 10)]), wants_ids=wants_ids)
    assert shown["choices"][0].get("token_ids") == ids


# ---- cut anywhere, the answer is the unbroken one


# The engine's tokens are bytes, so that an accent or a sign is several of them; few letters, so that stops are met.
SCRIPTS = st.text("abé€", max_size=12).map(str.encode)
CUTS = st.lists(st.integers(1, 16), max_size=3)
WISHES = st.fixed_dictionaries({}, optional={"logprobs": st.just(True), "return_token_ids": st.just(True)})
LIMITS = st.fixed_dictionaries({}, optional={"max_tokens": st.integers(1, 30)})
STOPS = st.lists(st.text("abé", min_size=1, max_size=3), min_size=1, max_size=2)


@UNTIMED
@given(SCRIPTS, WISHES, LIMITS, CUTS, st.lists(st.integers(1, 4), max_size=8), st.integers(1, 5))
def test_cut_anywhere_the_answer_is_the_unbroken_one_or_refused(
    script: bytes, wishes: dict[str, Any], limits: dict[str, Any], cuts: list[int], sizes: list[int], at_once: int
) -> None:
    fields = {**wishes, **limits}
    joined, twin = heard(script, fields, cuts, sizes, at_once), heard(script, fields)
    whole = list(script + b"\0")[: limits.get("max_tokens")]
    assert twin.token_ids == (whole if wishes.get("return_token_ids") else [])
    assert len(twin.odds) == (len(whole) if wishes.get("logprobs") else 0)
    if joined.refused:
        assert twin.text.startswith(joined.text)
    else:
        assert joined == twin
    assert joined.refused == "" or max(sizes) > 1
    assert joined.roles == 1
    assert len(joined.identities) == 1


@UNTIMED
@given(SCRIPTS, WISHES, LIMITS, CUTS, STOPS, st.booleans())
def test_a_stop_string_is_met_wherever_the_cuts_fall(
    script: bytes, wishes: dict[str, Any], limits: dict[str, Any], cuts: list[int], stops: list[str], include: bool
) -> None:
    fields = {**wishes, **limits, "stop": stops, "include_stop_str_in_output": include}
    joined, twin = heard(script, fields, cuts), heard(script, fields)
    said = heard(script, limits).text
    ends = [said.find(stop) for stop in stops if stop in said]
    assert joined == twin
    assert twin.text == said if not ends else said.startswith(twin.text)
    assert not ends or include or not any(stop in joined.text for stop in stops)
