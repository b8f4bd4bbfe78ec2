"""The load generator reads answers however they are cut, and the mock's answers are what an engine sends."""

import asyncio
import json

import pytest

from tests.bench.engine_script import EngineScript, whole_text
from tests.bench.engine_source import Engine, Shared
from tests.bench.gateway_load import Tally, Target, User
from tests.bench.gateway_probe import streamed_text

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Wire(asyncio.Transport):
    """Keeps what a user writes."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return False


def _stream(tokens: int) -> bytes:
    script = EngineScript(with_ids=True, with_usage=True)
    return HEAD + b"".join(script.event(index, tokens + 1) for index in range(tokens + 1))


def _read(data: bytes, size: int, streamed: bool) -> tuple[Tally, Wire]:
    async def feed() -> tuple[Tally, Wire]:
        tally, wire = Tally(), Wire()
        user = User(b"request", tally, streamed, lambda _: None)
        user.connection_made(wire)
        for at in range(0, len(data), size):
            user.data_received(data[at : at + size])
        return tally, wire

    return asyncio.run(feed())


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_a_stream_is_one_answer_however_it_is_cut_and_the_next_request_follows(size: int) -> None:
    tally, wire = _read(_stream(32), size, streamed=True)
    assert (tally.answers, tally.opened, dict(tally.errors)) == (1, 1, {})
    assert wire.written == [b"request", b"request"]


def test_events_are_counted() -> None:
    # The role's, 32 tokens, usage, [DONE].
    assert _read(_stream(32), 100_000, streamed=True)[0].events == 35


def test_an_answer_of_known_length_ends_with_its_last_byte() -> None:
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody"
    assert _read(whole[:-1], 10, streamed=False)[0].answers == 0
    assert _read(whole, 10, streamed=False)[0].answers == 1


def test_a_stream_without_done_is_an_error() -> None:
    cut = HEAD + b"5\r\ndata:\r\n0\r\n\r\n"
    tally, _ = _read(cut, 100, streamed=True)
    assert (tally.answers, dict(tally.errors)) == (0, {"no [DONE]": 1})


def test_another_status_than_200_is_an_error_and_no_answer() -> None:
    tally, wire = _read(b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 2\r\n\r\n{}", 100, streamed=True)
    assert (tally.answers, dict(tally.errors), len(wire.written)) == (0, {"429": 1}, 1)


def test_the_request_carries_the_headers_of_its_gateway() -> None:
    request = Target(8000, headers=(("authorization", "Bearer k"),)).request(b"{}")
    assert request.startswith(b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:8000\r\n")
    assert b"\r\nauthorization: Bearer k\r\ncontent-length: 2\r\n\r\n{}" in request


def _events(with_ids: bool) -> list[dict[str, object]]:
    script = EngineScript(with_ids, with_usage=False)
    data = b"".join(script.event(index, 4) for index in range(4))
    return [json.loads(line[6:]) for line in data.splitlines() if line.startswith(b"data: {")]


def test_the_mock_gives_token_ids_only_to_those_who_ask() -> None:
    asked, unasked = _events(True), _events(False)
    assert asked[0]["prompt_token_ids"] and unasked[0]["prompt_token_ids"] is None
    assert [event["choices"][0].get("token_ids") for event in asked] == [None, [826], [827], [980]]  # type: ignore[index]
    assert [event["choices"][0].get("token_ids") for event in unasked] == [None, None, None, None]  # type: ignore[index]


def test_the_mocks_stream_and_its_json_answer_have_one_text() -> None:
    script = EngineScript(with_ids=False, with_usage=False)
    chunks = b"".join(script.event(index, 33) for index in range(33))
    data = b"".join(line + b"\n\n" for line in chunks.splitlines() if line.startswith(b"data: "))
    engine = Engine(Shared(), {})
    answer = json.loads(engine.answers[False].split(b"\r\n\r\n", 1)[1])
    assert streamed_text(data) == whole_text(32) == answer["choices"][0]["message"]["content"]


def test_the_mocks_token_counter_moves_in_its_metrics() -> None:
    engine = Engine(Shared(), {})
    engine.count.tokens += 7
    assert 'vllm:generation_tokens_total{engine="0",model_name="llama-70b-scout"} 7.0' in engine.metrics().decode()


def test_a_stream_that_is_cut_has_no_text() -> None:
    with pytest.raises(ValueError, match="DONE"):
        streamed_text(b'data: {"choices":[]}\n\n')
