"""A stream from its first chunk to `[DONE]`: framing, fields, order, usage, and text that loses nothing."""

import codecs

import pytest

from shared.chat import ChatCompletionChunk
from tests.contract import transcript
from tests.contract.targets import Feature
from tests.contract.wire import text

ASKED = {"include_usage": True}
FIGURES = ("prompt_tokens", "completion_tokens", "total_tokens")


def test_a_stream_is_an_event_stream(wire):
    stream = wire.stream()
    assert stream.status == 200
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert "content-encoding" not in stream.headers, "a compressed stream is a buffered stream"


def test_every_chunk_has_every_field(wire, target):
    stream = wire.stream()
    assert len(stream.chunks) > 2
    for chunk in stream.chunks:
        parsed = ChatCompletionChunk.model_validate(chunk)
        assert parsed.model == target.model
        assert [choice.index for choice in parsed.choices] == [0]


def test_id_created_and_model_are_the_same_on_every_chunk(wire):
    stream = wire.stream(stream_options=ASKED)
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in stream.chunks}) == 1
    assert stream.chunks[0]["id"]
    assert stream.chunks[0]["created"] > 0


def test_two_streams_have_different_ids(wire):
    assert wire.stream(max_tokens=1).chunks[0]["id"] != wire.stream(max_tokens=1).chunks[0]["id"]


def test_the_role_comes_first_and_once(wire):
    stream = wire.stream()
    assert stream.chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert stream.deltas("role") == ["assistant"]


def test_the_finish_reason_comes_once_and_last(wire):
    stream = wire.stream()
    assert len(stream.finishes()) == 1
    assert stream.choices()[-1]["finish_reason"] == stream.finishes()[0]


def test_done_comes_last_and_nothing_after_it(wire):
    stream = wire.stream()
    assert stream.done
    assert stream.after_done == b""


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="not-mentioned"),
        pytest.param({"stream_options": None}, id="options-null"),
        pytest.param({"stream_options": {"include_usage": False}}, id="declined"),
    ],
)
def test_no_usage_is_sent_unless_asked_for(wire, options):
    stream = wire.stream(**options)
    assert stream.usages() == []
    # Many clients read choices[0] of every chunk without looking.
    assert all(chunk["choices"] for chunk in stream.chunks)


def test_usage_comes_once_after_the_last_choice_when_asked_for(wire):
    stream = wire.stream(stream_options=ASKED)
    assert len(stream.usages()) == 1
    assert stream.chunks[-1]["choices"] == []
    assert stream.chunks[-1]["usage"] == stream.usages()[0]
    assert all(chunk["choices"] for chunk in stream.chunks[:-1])


def test_usage_of_a_stream_equals_usage_of_the_whole_answer(wire):
    streamed = wire.stream(stream_options=ASKED).usages()[0]
    whole = wire.chat()["usage"]
    assert {name: streamed[name] for name in FIGURES} == {name: whole[name] for name in FIGURES}


def test_a_stream_and_a_whole_answer_say_the_same(wire):
    stream, answer = wire.stream(max_tokens=60), wire.chat(max_tokens=60)
    assert stream.text() == text(answer) != ""
    assert stream.finishes() == [answer["choices"][0]["finish_reason"]]


def test_the_token_limit_ends_a_stream_with_length(wire):
    stream = wire.stream(max_tokens=3, stream_options=ASKED)
    assert stream.finishes() == ["length"]
    assert stream.usages()[0]["completion_tokens"] == 3


def test_a_stop_string_is_never_streamed_not_even_its_beginning(wire):
    whole = text(wire.chat(max_tokens=40))
    stop = " ".join(whole.split()[2:4])
    stream = wire.stream(max_tokens=40, stop=[stop])
    assert stream.text() == whole[: whole.index(stop)]
    assert stream.finishes() == ["stop"]


@pytest.mark.needs(Feature.ENGINE_FIELDS)
def test_characters_of_several_bytes_survive_the_stream(wire):
    # No tokenizer has one token for each of these: the characters are put together from bytes of several tokens.
    said = "Škoda ☕ naïve 🚗 日本 👩‍🔧"
    stream = wire.stream(max_tokens=120, structured_outputs={"choice": [said]})
    assert stream.text() == said
    assert all("\N{REPLACEMENT CHARACTER}" not in delta for delta in stream.deltas("content"))


@pytest.mark.needs(Feature.ENGINE_FIELDS)
def test_a_stream_cut_at_any_byte_decodes_to_the_same(wire):
    with wire.open(max_tokens=120, structured_outputs={"choice": ["Citroën 🚙 à Genève"]}) as response:
        pieces = list(response.iter_raw())
    whole = b"".join(pieces)
    decoder = codecs.getincrementaldecoder("utf-8")()
    assert "".join(decoder.decode(piece) for piece in pieces) + decoder.decode(b"", True) == whole.decode()
    by_bytes = transcript.assemble(response, (whole[place : place + 1] for place in range(len(whole))))
    assert by_bytes == transcript.assemble(response, pieces)
    assert by_bytes.text() == "Citroën 🚙 à Genève"


def test_a_connection_serves_stream_after_stream(wire):
    # The body must end right after [DONE], or clients wait for it before they can use the connection again.
    for _ in range(3):
        assert wire.stream(max_tokens=2).done
    assert wire.chat(max_tokens=1)["choices"]
