"""What the sampling fields do: repeatability, variety, several choices, and the odds of each token."""

from tests.contract.wire import text

QUESTION = "Tell me about your trucks."


def test_temperature_zero_says_the_same_twice(wire):
    first, second = (text(wire.chat(question=QUESTION, max_tokens=40)) for _ in range(2))
    assert first == second != ""


def test_a_seed_says_the_same_twice(wire):
    first, second = (text(wire.chat(question=QUESTION, temperature=1.0, seed=11, max_tokens=40)) for _ in range(2))
    assert first == second != ""


def test_different_seeds_say_different_things(wire):
    # The other half of the case above: were temperature ignored, it could not fail.
    said = {text(wire.chat(question=QUESTION, temperature=1.5, seed=seed, max_tokens=40)) for seed in range(5)}
    assert len(said) > 1


def test_two_choices_come_in_one_answer(wire):
    answer = wire.chat(n=2, temperature=1.0, seed=3, max_tokens=8)
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    assert all(choice["message"]["content"] for choice in answer["choices"])
    assert all(choice["finish_reason"] for choice in answer["choices"])
    assert answer["usage"]["completion_tokens"] > 8, "both choices are counted"


def test_two_choices_share_a_stream(wire):
    stream = wire.stream(n=2, temperature=1.0, seed=3, max_tokens=8)
    assert {choice["index"] for chunk in stream.chunks for choice in chunk["choices"]} == {0, 1}
    for index in (0, 1):
        assert stream.choices(index)[0]["delta"]["role"] == "assistant"
        assert stream.deltas("role", index) == ["assistant"]
        assert stream.text(index)
        assert len(stream.finishes(index)) == 1
    assert stream.done


def test_logprobs_are_given_for_every_token(wire):
    answer = wire.chat(max_tokens=6, logprobs=True, top_logprobs=2)
    tokens = answer["choices"][0]["logprobs"]["content"]
    assert len(tokens) == answer["usage"]["completion_tokens"] == 6
    assert "".join(token["token"] for token in tokens) == text(answer)
    for token in tokens:
        assert bytes(token["bytes"]).decode() == token["token"]
        assert token["logprob"] <= 0
        assert len(token["top_logprobs"]) == 2
        best = max(rival["logprob"] for rival in token["top_logprobs"])
        assert token["logprob"] == best, "temperature 0 takes the likeliest token"


def test_logprobs_of_a_stream_are_those_of_the_whole_answer(wire):
    asked = {"max_tokens": 6, "logprobs": True, "top_logprobs": 1}
    whole = wire.chat(**asked)["choices"][0]["logprobs"]["content"]
    stream = wire.stream(**asked)
    streamed = [
        token for choice in stream.choices() if choice.get("logprobs") for token in choice["logprobs"]["content"]
    ]
    assert [token["token"] for token in streamed] == [token["token"] for token in whole]
    assert all(abs(one["logprob"] - other["logprob"]) < 0.05 for one, other in zip(streamed, whole, strict=True))


def test_no_logprobs_unless_asked_for(wire):
    assert wire.chat(max_tokens=2)["choices"][0].get("logprobs") is None
    assert all(choice.get("logprobs") is None for choice in wire.stream(max_tokens=2).choices())
