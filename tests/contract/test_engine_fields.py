"""vLLM's own request fields reach it unchanged, whatever stands in between: each case sees the field's effect."""

import pytest

from tests.contract.targets import Feature
from tests.contract.wire import text

pytestmark = pytest.mark.needs(Feature.ENGINE_FIELDS)

GREETING = "Hi there!"
USER = {"role": "user", "content": "What are your opening hours?"}
LIMIT = 120


def test_min_tokens_keeps_the_model_from_ending(wire):
    natural = wire.chat(question=GREETING, max_tokens=LIMIT)
    assert natural["choices"][0]["finish_reason"] == "stop", "the case needs an answer that ends by itself"
    least = natural["usage"]["completion_tokens"] + 10
    assert wire.chat(question=GREETING, max_tokens=LIMIT * 2, min_tokens=least)["usage"]["completion_tokens"] >= least


def test_ignore_eos_goes_on_to_the_limit(wire):
    usage = wire.chat(question=GREETING, max_tokens=LIMIT, ignore_eos=True)["usage"]
    assert usage["completion_tokens"] == LIMIT


def test_top_k_of_one_takes_the_likeliest_token_at_any_temperature(wire):
    # By odds, not by text: in 16 bits two tokens may be equally likely, and either is the likeliest.
    asked = {"temperature": 2.0, "seed": 4, "max_tokens": 30, "ignore_eos": True, "logprobs": True, "top_logprobs": 2}

    def likeliest(**fields):
        tokens = wire.chat(**asked, **fields)["choices"][0]["logprobs"]["content"]
        return [token["logprob"] == max(rival["logprob"] for rival in token["top_logprobs"]) for token in tokens]

    assert all(likeliest(top_k=1))
    assert not all(likeliest()), "the case needs a temperature that would else take others"


def test_repetition_penalty_changes_what_is_said(wire):
    asked = {"max_tokens": 60, "ignore_eos": True}
    assert text(wire.chat(**asked, repetition_penalty=3.0)) != text(wire.chat(**asked))


def test_token_ids_are_returned_when_asked_for(wire):
    answer = wire.chat(return_token_ids=True)
    assert len(answer["prompt_token_ids"]) == answer["usage"]["prompt_tokens"]
    assert len(answer["choices"][0]["token_ids"]) == answer["usage"]["completion_tokens"]


def test_token_ids_of_a_stream_are_those_of_the_whole_answer(wire):
    whole = wire.chat(return_token_ids=True)
    stream = wire.stream(return_token_ids=True)
    assert stream.chunks[0]["prompt_token_ids"] == whole["prompt_token_ids"]
    streamed = [token for choice in stream.choices() for token in choice.get("token_ids") or []]
    assert streamed == whole["choices"][0]["token_ids"]


@pytest.mark.parametrize("asked", [{}, {"return_token_ids": False}, {"return_token_ids": None}], ids=str)
def test_token_ids_are_not_told_to_who_did_not_ask(wire, asked):
    answer = wire.chat(**asked)
    assert answer.get("prompt_token_ids") is None
    assert answer["choices"][0].get("token_ids") is None
    stream = wire.stream(**asked)
    assert all(chunk.get("prompt_token_ids") is None for chunk in stream.chunks)
    assert all(choice.get("token_ids") is None for choice in stream.choices())


def test_continuous_usage_counts_on_every_chunk(wire):
    options = {"include_usage": True, "continuous_usage_stats": True}
    counted = [usage["completion_tokens"] for usage in wire.stream(max_tokens=6, stream_options=options).usages()]
    assert len(counted) > 2
    assert counted == sorted(counted)
    assert counted[-1] == 6


def test_a_final_message_is_continued_not_answered(wire):
    begun = [USER, {"role": "assistant", "content": "Our showroom is open Monday"}]
    asked = {"messages": begun, "return_token_ids": True, "max_tokens": 12}
    left_open = wire.chat(**asked, continue_final_message=True, add_generation_prompt=False)
    closed = wire.chat(**asked)
    # Left open, the prompt ends inside the assistant's turn; else that turn is closed and a new one begun after it.
    prompt = left_open["prompt_token_ids"]
    assert closed["prompt_token_ids"][: len(prompt)] == prompt
    assert len(closed["prompt_token_ids"]) > len(prompt)
    assert text(left_open).strip()
    assert not text(left_open).startswith("Our showroom")


def test_a_final_message_is_continued_in_a_stream(wire):
    begun = [USER, {"role": "assistant", "content": "Our showroom is open Monday"}]
    asked = {"messages": begun, "max_tokens": 12, "continue_final_message": True, "add_generation_prompt": False}
    assert wire.stream(**asked).text() == text(wire.chat(**asked))


def test_structured_outputs_hold_the_answer_to_a_pattern(wire):
    said = text(wire.chat(structured_outputs={"regex": r"[A-H]\d{4}"}, max_tokens=20))
    assert len(said) == 5
    assert said[0] in "ABCDEFGH"
    assert said[1:].isdecimal()


def test_a_field_that_nobody_knows_is_no_error(wire):
    assert text(wire.chat(x_field_of_another_server={"any": ["thing"]})) == text(wire.chat())
