"""A broken answer goes on elsewhere: what is asked next, and that the joined answer is the unbroken one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.resume import Finished, first_leg, next_leg
from gateway.seam import merged_usage, usage_of
from gateway.stop_strings import StopFilter, stop_strings
from gateway.transcript import Transcript, transcript_of
from tests.unit.gateway import toy_engine

BODY = {"model": "scout", "messages": [{"role": "user", "content": "Hi"}]}
SEARCH = {"type": "function", "function": {"name": "search_inventory"}}
CHARACTERS = range(128)
"""The tokens of the toy engine that are characters by themselves."""


def heard(*chunks: tuple[list[int], str]) -> Transcript:
    """The transcript after these chunks."""
    transcript = Transcript(set())
    transcript.note(None, "", prompt_token_ids=[1, 2, 3])
    for token_ids, text in chunks:
        transcript.note(token_ids, text)
    return transcript


def continued(transcript: Transcript, **fields: Any) -> dict[str, Any]:
    leg = next_leg({**BODY, **fields}, transcript)
    assert isinstance(leg, dict)
    return leg


def test_the_first_leg_asks_for_what_a_seam_needs() -> None:
    assert first_leg({**BODY, "stream_options": {"continuous_usage_stats": True}}) == {
        **BODY,
        "stream": True,
        "stream_options": {"continuous_usage_stats": True, "include_usage": True},
        "return_token_ids": True,
    }


def test_stop_strings_are_left_in_the_text_for_us_to_cut() -> None:
    assert first_leg({**BODY, "stop": "end"})["include_stop_str_in_output"] is True
    assert "include_stop_str_in_output" not in first_leg(BODY)


def test_a_request_that_cannot_be_resumed_is_only_streamed() -> None:
    body = {**BODY, "n": 2, "stop": "end"}
    assert first_leg(body) == {**body, "stream": True, "stream_options": {"include_usage": True}}


def test_the_next_leg_is_the_first_with_the_answer_so_far_as_its_prompt() -> None:
    body = {**BODY, "temperature": 0, "seed": 5, "stop": ["end"], "logprobs": True}
    assert next_leg(body, heard(([10], "a"), ([11], "b"))) == {
        **first_leg(body),
        "kv_transfer_params": {"prompt_token_ids": [1, 2, 3, 10, 11]},
    }


@pytest.mark.parametrize("transcript", [Transcript(set()), heard(), heard(([195], ""))])
def test_before_any_text_the_next_leg_is_the_first_again(transcript: Transcript) -> None:
    body = {**BODY, "tools": [SEARCH], "max_tokens": 1, "truncate_prompt_tokens": 9}
    assert next_leg(body, transcript) == first_leg(body)


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        pytest.param({}, {}, id="no limit"),
        pytest.param({"max_tokens": None}, {"max_tokens": None}, id="null is no limit"),
        pytest.param({"max_tokens": 10}, {"max_tokens": 8}, id="max_tokens"),
        pytest.param({"max_completion_tokens": 10}, {"max_completion_tokens": 8}, id="max_completion_tokens"),
        pytest.param({"max_tokens": 1, "max_completion_tokens": 3}, {"max_completion_tokens": 1}, id="both"),
        pytest.param({"min_tokens": 5}, {"min_tokens": 3}, id="min_tokens"),
        pytest.param({"min_tokens": 1}, {"min_tokens": 0}, id="min_tokens reached"),
        pytest.param({"min_tokens": 0}, {"min_tokens": 0}, id="min_tokens of none"),
    ],
)
def test_the_next_leg_counts_from_where_the_last_one_ended(asked: dict[str, Any], left: dict[str, Any]) -> None:
    leg = continued(heard(([10], "a"), ([11], "b")), **asked)
    assert {name: leg[name] for name in ("max_tokens", "max_completion_tokens", "min_tokens") if name in leg} == left


@pytest.mark.parametrize("asked", [{"max_tokens": 2}, {"max_tokens": 9, "max_completion_tokens": 2}])
def test_an_answer_at_its_limit_is_complete(asked: dict[str, int]) -> None:
    assert next_leg({**BODY, **asked}, heard(([10], "a"), ([11], "b"))) == Finished("length")


def test_an_answer_of_which_only_the_usage_was_lost_is_complete() -> None:
    transcript = heard(([10], "a"))
    transcript.note([4], "", "stop")
    assert next_leg(BODY, transcript) == Finished("stop")


def test_text_that_has_begun_cannot_become_a_tool_call() -> None:
    assert continued(heard(([10], "a")), tools=[SEARCH])["tool_choice"] == "none"
    assert "tool_choice" not in continued(heard(([10], "a")))


def test_what_was_about_the_prompts_text_is_dropped() -> None:
    leg = continued(heard(([10], "a")), truncate_prompt_tokens=5, truncation_side="left", return_prompt_text=True)
    assert leg.keys() & {"truncate_prompt_tokens", "truncation_side", "return_prompt_text"} == set()


# The whole of it, on an engine in miniature.


class Client:
    """What a client has seen, the way there as the relay makes it: legs one after the other, each cut at its place."""

    def __init__(self, script: str, body: dict[str, Any], whole: set[int]) -> None:
        self._script = script.encode()
        self._body = {**BODY, **body}
        self._transcript = transcript_of(self._body, whole)
        stops = stop_strings(self._body)
        self._stops = StopFilter(stops, include=False) if stops else None
        self.text = ""
        self.finish: str | None = None
        self.usage: dict[str, Any] = {}
        self.obstacle: str | None = None

    def listen(self, cuts: list[int], sizes: list[int]) -> "Client":
        """Hears the answer; the n-th leg breaks after `cuts[n]` chunks, the one after the last cut does not."""
        leg = first_leg(self._body)
        for cut in [*cuts, None]:
            carried = self._transcript.settled
            for chunk in list(toy_engine.answer(self._script, leg, sizes))[:cut]:
                self._hear(chunk, carried)
                if self.usage:
                    return self
            self.obstacle = self._transcript.obstacle
            if self.obstacle is not None:
                return self
            following = next_leg(self._body, self._transcript)
            if isinstance(following, Finished):
                self.finish, self.usage = following.reason, usage_of(self._transcript)
                return self
            leg = following
        raise AssertionError("the last leg was not cut, and the answer has no end")

    def _hear(self, chunk: dict[str, Any], carried: int) -> None:
        for choice in chunk["choices"]:
            text, finish = choice["delta"].get("content", ""), choice["finish_reason"]
            prompt = chunk.get("prompt_token_ids")
            self._transcript.note(choice["token_ids"], text, finish, prompt_token_ids=prompt)
            self.text += self._stops.push(text) if self._stops else text
            if finish:
                self.text += self._stops.end() if self._stops else ""
                self.finish = finish
            elif self._stops and self._stops.stopped:  # across a seam, where the engine cannot see it
                self.finish, self.usage = "stop", usage_of(self._transcript)
        if "usage" in chunk:
            self.usage = merged_usage(chunk["usage"], carried)


SCRIPTS = st.text(alphabet="ab é€😀", max_size=12)
CUTS = st.lists(st.integers(min_value=0, max_value=40), max_size=3)
LIMITS = st.one_of(st.none(), st.integers(min_value=1, max_value=20))
SIZES = st.lists(st.integers(min_value=1, max_value=4), max_size=12)


@given(SCRIPTS, LIMITS, CUTS)
def test_an_answer_cut_anywhere_is_the_unbroken_one(script: str, limit: int | None, cuts: list[int]) -> None:
    body = {} if limit is None else {"max_tokens": limit}
    twin = Client(script, body, set()).listen([], [])
    joined = Client(script, body, set()).listen(cuts, [])
    assert (joined.text, joined.finish, joined.usage) == (twin.text, twin.finish, twin.usage)


@given(SCRIPTS, st.lists(st.sampled_from(["a", "ab", "é", "b€", "aba"]), min_size=1, max_size=2), CUTS)
def test_a_stop_string_across_a_seam_ends_the_answer(script: str, stops: list[str], cuts: list[int]) -> None:
    twin = Client(script, {"stop": stops}, set()).listen([], [])
    joined = Client(script, {"stop": stops}, set()).listen(cuts, [])
    assert (joined.text, joined.finish, joined.usage) == (twin.text, twin.finish, twin.usage)


@given(SCRIPTS, CUTS, SIZES)
def test_tokens_that_come_several_at_once_are_joined_exactly_or_not_at_all(
    script: str, cuts: list[int], sizes: list[int]
) -> None:
    # The toy engine checks at each seam that no token was lost or made up; a seam in a character would lose text.
    twin = Client(script, {}, set()).listen([], [])
    joined = Client(script, {}, set(CHARACTERS)).listen(cuts, sizes)
    if joined.obstacle is None:
        assert (joined.text, joined.finish, joined.usage) == (twin.text, twin.finish, twin.usage)
    else:
        assert twin.text.startswith(joined.text)
