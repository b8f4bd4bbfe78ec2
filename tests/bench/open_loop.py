"""Clients that arrive by the clock, whatever became of those before them, and leave when nothing comes.

An open loop: a server that is slow, or that refuses, does not thereby get fewer requests, as it would from users who
wait for each answer. Each client has a connection of its own and closes it.
"""

import asyncio
import contextlib
import json
import random
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_CONTENT = re.compile(rb'"content": ?"[^"]')
"""Of an event that brings text: the role's event brings an empty one."""
_USAGE = re.compile(rb'"completion_tokens": ?(\d+)')
_ERROR = (b'data: {"error"', b'data: {"object":"error"')
_LAST_CHUNK = b"0\r\n"
_RETRY_AFTER = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)
_HEAD_LIMIT = 1 << 20


@dataclass(frozen=True)
class Target:
    """Who is asked."""

    url: str
    key: str
    model: str


@dataclass
class Answer:
    """What became of one request. `asked_at` and `ended_at` count from the load's beginning; all times in seconds."""

    asked_at: float
    ended_at: float = 0.0
    status: int | None = None
    first_content_s: float | None = None
    tokens: int = 0
    """As the engine counts them, told at the end. Events are no measure: a busy engine sends several tokens in one."""
    broken: bool = False
    """An error came within the stream: an engine that is full may begin an answer with 200 and say so only then."""
    whole: bool = False
    retry_after_s: int | None = None
    came_back: bool = False
    """Whether this client had been refused before, and waited as long as it was told."""


@dataclass
class Load:
    """What clients ask for, and how long they wait for the first token before they leave."""

    target: Target
    tokens: int
    patience_s: float
    seed: int = 1
    answers: list[Answer] = field(default_factory=list)
    _began: float = field(default_factory=time.perf_counter)

    def now(self) -> float:
        """Seconds since the load began."""
        return time.perf_counter() - self._began

    async def one(self, *, came_back: bool = False) -> Answer:
        """One client, from its arrival until it has gone."""
        answer = Answer(self.now(), came_back=came_back)
        self.answers.append(answer)
        number = len(self.answers)  # now, since others arrive before this one is connected
        url = urlsplit(self.target.url)
        writer: asyncio.StreamWriter | None = None
        with contextlib.suppress(ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            try:
                async with asyncio.timeout(self.patience_s) as patience:
                    reader, writer = await asyncio.open_connection(url.hostname, url.port, limit=_HEAD_LIMIT)
                    writer.write(self._request(url.netloc, number))
                    await self._read(reader, answer, patience)
            finally:
                answer.ended_at = self.now()
                if writer is not None:
                    writer.transport.abort()
        return answer

    async def users(self, count: int, seconds: float) -> None:
        """A closed loop of so many: each asks again as soon as it has its answer, until the time is over."""

        async def user() -> None:
            while self.now() < seconds:
                await self.one()

        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(user())

    async def arrive(self, times: Sequence[float], comes_back: float = 0.0) -> None:
        """An open loop: one client at each time. Of those that are refused a share comes back, once, when told to.

        Returns when all have gone.
        """
        chance = random.Random(self.seed)
        async with asyncio.TaskGroup() as group:
            for due in times:
                await asyncio.sleep(max(0.0, due - self.now()))
                group.create_task(self._client(returns=chance.random() < comes_back))

    async def _client(self, *, returns: bool) -> None:
        answer = await self.one()
        if returns and answer.retry_after_s is not None:
            await asyncio.sleep(answer.retry_after_s)
            await self.one(came_back=True)

    def _request(self, host: str, number: int) -> bytes:
        """Each asks something else from the first word on, so that no prefix cache answers for the engine."""
        text = f"Customer {self.seed}-{number}: I am looking for a used car for my family, what do you have?"
        body = {
            "model": self.target.model,
            "messages": [{"role": "user", "content": text}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0,
            "max_tokens": self.tokens,
            "min_tokens": self.tokens,
        }
        content = json.dumps(body).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {self.target.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(content)}\r\nconnection: close\r\n\r\n"
        )
        return head.encode() + content

    async def _read(self, reader: asyncio.StreamReader, answer: Answer, patience: asyncio.Timeout) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        answer.status = int(head[9:12])
        if (told := _RETRY_AFTER.search(head)) is not None:
            answer.retry_after_s = int(told[1])
        if answer.status != 200:
            patience.reschedule(None)
            return
        began = self._began + answer.asked_at
        while line := await reader.readline():
            if answer.first_content_s is None and _CONTENT.search(line):
                answer.first_content_s = time.perf_counter() - began
                patience.reschedule(None)  # whoever reads stays
            elif (used := _USAGE.search(line)) is not None:
                answer.tokens = int(used[1])
            elif line.startswith(_ERROR):
                answer.broken = True
            elif line.startswith(b"data: [DONE]"):  # comes after an error too
                answer.whole = not answer.broken and answer.first_content_s is not None
                return
            elif line == _LAST_CHUNK:
                return


def evenly_at_random(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Arrivals of independent clients, `rate` a second on average: the gaps are distributed exponentially."""
    chance, at = random.Random(seed), 0.0
    while (at := at + chance.expovariate(rate)) < seconds:
        yield at
