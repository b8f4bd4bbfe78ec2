"""An upstream before a scriptable cloud, with everything that a case looks at."""

import io
from typing import Any

import pytest

from gateway.logs import make_log
from gateway.ports import AttemptFailed, Chunk
from gateway.settings import Cloud as Settings
from gateway.upstreams.http1 import Client
from gateway.upstreams.openai import OpenAiStream, OpenAiUpstream
from shared import sse
from tests.support import cloud as acts
from tests.support.cleared import Recorder, cleared
from tests.support.cloud import Act, Cloud
from tests.unit.gateway.upstreams.scripted_server import until


def endless(text: str) -> Act:
    """An event that does not end after one that does."""

    async def act(exchange: acts.Exchange) -> None:
        await acts.stream(*acts.words(text), end=False)(exchange)
        await exchange.send_chunk(b"data: " + b"x" * sse.MAX_EVENT_BYTES)
        await exchange.client_left.wait()

    return act


class Bench:
    """The upstream is made for each case, whose settings it has."""

    def __init__(self, cloud: Cloud, client: Client) -> None:
        self.cloud = cloud
        self.client = client
        self.ledger = Recorder()
        self.logged = io.StringIO()

    def upstream(self, *, base_url: str | None = None, key: str = acts.KEY, **clocks: float) -> OpenAiUpstream:
        settings = Settings(model=acts.MODEL, **clocks)  # type: ignore[arg-type]
        url = base_url or self.cloud.base_url
        return OpenAiUpstream(self.client, settings, url, key, self.ledger, make_log(self.logged))

    async def open(self, *script: Act, **options: Any) -> OpenAiStream:
        self.cloud.script(*script)
        return await self.upstream(**options).open(cleared(), "req_1")

    async def failure(self, *script: Act, **options: Any) -> AttemptFailed:
        """What `open` raises; nothing may be left of it."""
        with pytest.raises(AttemptFailed) as failed:
            await self.open(*script, **options)
        await self.all_closed()
        return failed.value

    async def all_closed(self) -> None:
        """Returns when no connection is left: the cloud hangs up on those that have ended in good order."""
        await until(lambda: self.connections() == 0)

    def connections(self) -> int:
        return self.client.open_connections(self.cloud.url)


async def read_all(stream: OpenAiStream) -> list[Chunk]:
    """Everything up to the end."""
    told: list[Chunk] = []
    while (chunks := await stream.read()) is not None:
        told += chunks
    return told


async def read_failing(stream: OpenAiStream) -> tuple[str, AttemptFailed]:
    """The text that came, and the failure after it."""
    text = ""
    with pytest.raises(AttemptFailed) as failed:
        while (chunks := await stream.read()) is not None:
            text += "".join(chunk.text for chunk in chunks)
    return text, failed.value
