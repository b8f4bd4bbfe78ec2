"""Twenty clients at once: more than one replica takes at a time, and nobody is lost or given another's answer."""

import anyio
import pytest

from tests.contract import transcript
from tests.contract.wire import CHAT

CLIENTS = 20


@pytest.mark.anyio
async def test_twenty_streams_at_once_all_complete(wire):
    streams = []

    async def listen(http, seed):
        body = wire.body(stream=True, max_tokens=16, temperature=1.0, seed=seed, stream_options={"include_usage": True})
        async with http.stream("POST", CHAT, json=body) as response:
            pieces = [piece async for piece in response.aiter_raw()]
        assert response.status_code == 200, b"".join(pieces)[:300]
        streams.append(transcript.assemble(response, pieces))

    async with wire.concurrently(CLIENTS) as http, anyio.create_task_group() as group:
        for seed in range(CLIENTS):
            group.start_soon(listen, http, seed)

    assert len(streams) == CLIENTS
    for stream in streams:
        assert stream.done
        assert len(stream.finishes()) == 1
        assert stream.text()
        assert len(stream.usages()) == 1
        assert len({chunk["id"] for chunk in stream.chunks}) == 1
    assert len({stream.chunks[0]["id"] for stream in streams}) == CLIENTS


@pytest.mark.anyio
async def test_every_client_gets_the_answer_to_its_own_question(wire):
    # The stop strings differ, so the answers do: all are beginnings of one text, each ending at its own place.
    whole = wire.chat(max_tokens=40)["choices"][0]["message"]["content"]
    words = whole.split()
    stops = [word for place, word in enumerate(words[2:], 2) if word not in " ".join(words[:place])][:8]
    assert len(stops) >= 3, "the case needs an answer with a few different words"
    said = {}

    async def ask(http, stop):
        answer = (await http.post(CHAT, json=wire.body(max_tokens=40, stop=[stop]))).json()
        said[stop] = answer["choices"][0]["message"]["content"]

    async with wire.concurrently(len(stops)) as http, anyio.create_task_group() as group:
        for stop in stops:
            group.start_soon(ask, http, stop)
    assert said == {stop: whole[: whole.index(stop)] for stop in stops}
