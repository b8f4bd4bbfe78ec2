"""A later leg's chunks and usage are made those of the one answer that the client hears."""

from typing import Any

import pytest

from gateway.seam import RESUMED, Identity, Seam, merged_usage, rewrite, usage_of
from gateway.transcript import Transcript

FIRST = Identity("chatcmpl-first", 1, "scout")
SEAM = Seam(FIRST, resumed=2, carried=4, wants_token_ids=False)


def chunk(delta: dict[str, Any], **choice: Any) -> dict[str, Any]:
    choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None, **choice}]
    return {"id": "chatcmpl-second", "object": "chat.completion.chunk", "created": 2, "model": "m", "choices": choices}


def test_usage_that_was_lost_is_counted_from_the_tokens() -> None:
    transcript = Transcript(set())
    transcript.note(None, "", prompt_token_ids=[1, 2, 3])
    transcript.note([10], "a")
    transcript.note([4], "", "stop")
    assert usage_of(transcript) == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_usage_is_that_of_the_whole_answer() -> None:
    usage = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25, "completion_tokens_details": {"a": 1}}
    assert merged_usage(usage, 4) == {
        "prompt_tokens": 16,
        "completion_tokens": 9,
        "total_tokens": 25,
        "completion_tokens_details": {"a": 1},
    }


def test_usage_before_anything_is_generated_may_lack_the_answers_tokens() -> None:
    assert merged_usage({"prompt_tokens": 20, "total_tokens": 20}, 4)["completion_tokens"] == 4


def test_an_engine_that_contradicts_itself_makes_no_negative_count() -> None:
    merged = merged_usage({"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}, 5)
    assert (merged["prompt_tokens"], merged["completion_tokens"], merged["total_tokens"]) == (0, 6, 6)


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        pytest.param({"cached_tokens": 18}, {"cached_tokens": 16}, id="carried tokens were cached too"),
        pytest.param({"cached_tokens": 8, "other": 3}, {"cached_tokens": 8, "other": 3}, id="others are kept"),
        pytest.param(
            {"cached_tokens": 8, "created_cache_tokens": 12},
            {"cached_tokens": 8, "created_cache_tokens": 8},
            id="no more of the prompt was written than was not there",
        ),
        pytest.param({"cached_tokens": None}, {"cached_tokens": None}, id="not known"),
        pytest.param(None, None, id="no details"),
    ],
)
def test_cached_tokens_are_those_of_the_real_prompt(details: Any, expected: Any) -> None:
    usage = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25, "prompt_tokens_details": details}
    assert merged_usage(usage, 4)["prompt_tokens_details"] == expected


def test_a_later_legs_chunk_bears_the_first_ones_identity() -> None:
    assert rewrite(chunk({"content": "a"}, token_ids=[10]), SEAM) == {
        **chunk({"content": "a"}),
        "id": "chatcmpl-first",
        "created": 1,
        "model": "scout",
    }


def test_the_identity_is_read_from_a_chunk() -> None:
    assert Identity.of(chunk({})) == Identity("chatcmpl-second", 2, "m", None)
    assert Identity.of({**chunk({}), "system_fingerprint": "f"}).system_fingerprint == "f"


@pytest.mark.parametrize(
    ("known", "sent", "shown"),
    [("first", "second", "first"), (None, "second", "second"), ("first", None, None), (None, None, None)],
)
def test_the_fingerprint_is_the_first_ones_where_one_was_told(
    known: str | None, sent: str | None, shown: str | None
) -> None:
    seam = Seam(Identity("i", 1, "m", known), resumed=1, carried=4, wants_token_ids=False)
    told = {} if sent is None else {"system_fingerprint": sent}
    seen = rewrite({**chunk({"content": "a"}), **told}, seam)
    assert seen is not None
    assert seen.get("system_fingerprint") == shown


def test_the_role_is_not_told_twice() -> None:
    role = {**chunk({"role": "assistant", "content": ""}), "prompt_token_ids": [1], "prompt_text": None}
    assert rewrite(role, SEAM) is None
    both = rewrite({**chunk({"role": "assistant", "content": "a"}), "prompt_token_ids": [1], "metrics": {}}, SEAM)
    assert both is not None
    assert both["choices"][0]["delta"] == {"content": "a"}
    assert both.keys() == chunk({}).keys()


@pytest.mark.parametrize(
    ("said", "wants_token_ids", "shown"),
    [
        pytest.param({"token_ids": [195]}, False, False, id="half a character"),
        pytest.param({"token_ids": [195]}, True, True, id="half a character, and the client counts tokens"),
        pytest.param({"token_ids": [195], "logprobs": {"content": []}}, False, True, id="the odds of half a character"),
        pytest.param({"token_ids": [4], "finish_reason": "stop"}, False, True, id="the end"),
    ],
)
def test_a_chunk_without_text_is_shown_when_it_says_something_else(
    said: dict[str, Any], wants_token_ids: bool, shown: bool
) -> None:
    seen = rewrite(chunk({}, **said), Seam(FIRST, resumed=1, carried=4, wants_token_ids=wants_token_ids))
    assert (seen is not None) is shown
    assert seen is None or ("token_ids" in seen["choices"][0]) is wants_token_ids


def test_the_last_chunks_tell_how_often_the_answer_was_resumed() -> None:
    usage = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
    ending, counted = (
        rewrite(chunk({}, finish_reason="stop"), SEAM),
        rewrite({**chunk({}), "choices": [], "usage": usage}, SEAM),
    )
    between = rewrite({**chunk({"content": "a"}), "usage": usage}, SEAM)
    assert ending is not None
    assert counted is not None
    assert between is not None
    assert (ending[RESUMED], counted[RESUMED]) == (2, 2)
    assert RESUMED not in between
    assert counted["usage"] == between["usage"] == merged_usage(usage, 4)
