"""The load: questions through both doors, many at once, each kept as its client met it.

Questions to the OpenAI door have a fixed length and temperature 0, so the same question has one answer: what it was
before anything was broken is the twin that every later one is held against.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, islice
from types import TracebackType
from typing import Any

import httpx

from tests.chaos.tally import EVENT_STREAM, Result, Tally, hear

MODEL = "llama-70b-scout"
TOKENS = 160

_TOPICS = (
    "What are your opening hours?",
    "Which SUVs under 30k do you have?",
    "Tell me about financing and leasing in detail.",
    "Do you take trade-ins? Explain how it works.",
    "Compare a Honda Civic with a Toyota Corolla.",
    "I have a family of five, what should I buy?",
    "How do I book a test drive?",
    "What does the warranty cover?",
    "How does buying a car at your place work?",
    "Is an electric car cheaper than a hybrid?",
)


@dataclass(frozen=True)
class Question:
    """One request, by its door."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


def completion(text: str, tokens: int = TOKENS, **fields: Any) -> Question:
    """To /v1/chat/completions. `min_tokens` makes the answer as long as asked, whatever the model would like."""
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": text}],
        "temperature": 0,
        "max_tokens": tokens,
        "min_tokens": tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
        **fields,
    }
    return Question("/v1/chat/completions", body)


def spoken(text: str) -> Question:
    """To /api/chat, where the length and the temperature are the gateway's."""
    return Question("/api/chat", {"message": text})


def questions(completions: int, spoken_ones: int = 0, tokens: int = TOKENS) -> list[Question]:
    """So many of each door, on different topics."""
    return [
        *(completion(text, tokens) for text in islice(cycle(_TOPICS), completions)),
        *(spoken(text) for text in islice(cycle(reversed(_TOPICS)), spoken_ones)),
    ]


async def ask(
    client: httpx.AsyncClient, question: Question, on_piece: Callable[[int], None] = lambda size: None
) -> Result:
    """One request from beginning to end, whatever the end is."""
    status, content_type, body = None, "", bytearray()
    try:
        async with client.stream("POST", question.path, json=question.body, headers=question.headers) as response:
            status, content_type = response.status_code, response.headers.get("content-type", "")
            async for piece in response.aiter_raw():
                body += piece
                on_piece(len(piece))
    except httpx.HTTPError as error:
        return Result(status, content_type, bytes(body), ended=False, failure=repr(error))
    return Result(status, content_type, bytes(body))


class Burst:
    """Streams that run at once. Leaving the context waits for all of them; then `results` are there, in order."""

    def __init__(self, client: httpx.AsyncClient, asked: Sequence[Question]) -> None:
        self._client = client
        self._asked = asked
        self.received = 0
        """Bytes of all bodies so far: unlike the number of reads, they hardly depend on who is how busy."""
        self._begun: set[int] = set()
        self._came = asyncio.Event()
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[Result]] = []

    async def __aenter__(self) -> "Burst":
        await self._group.__aenter__()
        self._tasks = [
            self._group.create_task(ask(self._client, one, partial(self._piece, number)))
            for number, one in enumerate(self._asked)
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._group.__aexit__(kind, error, at)

    @property
    def results(self) -> list[Result]:
        return [task.result() for task in self._tasks]

    async def until(self, received: int, *, begun: bool = True) -> None:
        """Waits until so many bytes have come, and some of each stream if all have to have `begun`.

        AssertionError if the streams end before.
        """
        while self.received < received or (begun and len(self._begun) < len(self._asked)):
            assert not all(task.done() for task in self._tasks), f"all ended after {self.received} bytes"
            self._came.clear()
            await asyncio.wait_for(self._came.wait(), 60)

    def _piece(self, number: int, size: int) -> None:
        self.received += size
        self._begun.add(number)
        self._came.set()

    def judge(self, tally: Tally, twins: Sequence[str | None]) -> None:
        """Counts every result against its twin."""
        for result, twin in zip(self.results, twins, strict=True):
            tally.judge(result, twin)


@dataclass(frozen=True)
class Twins:
    """The answers to these questions when nothing is broken, and how many bytes they are all together."""

    questions: list[Question]
    texts: list[str]
    size: int


async def unbroken(client: httpx.AsyncClient, asked: list[Question]) -> Twins:
    """Asks them all at once, as they will be asked while something breaks."""
    async with Burst(client, asked) as burst:
        pass
    tally = Tally()
    burst.judge(tally, [None] * len(asked))
    assert tally.whole == len(asked), f"not whole although nothing is broken: {tally}: {tally.lost}"
    return Twins(asked, [text_of(result) for result in burst.results], burst.received)


def text_of(result: Result) -> str:
    """What the client of a whole answer has read."""
    return hear(result.body).text if result.content_type.startswith(EVENT_STREAM) else result.body.decode()


class Steady:
    """Constant load: so many clients, each asking the next question `rest_s` after it has its answer."""

    def __init__(
        self, client: httpx.AsyncClient, twins: Twins, clients: int, tally: Tally, *, rest_s: float = 0.0
    ) -> None:
        self._client = client
        self._twins = twins
        self._clients = clients
        self._tally = tally
        self._rest_s = rest_s
        self._ending = asyncio.Event()
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> "Steady":
        await self._group.__aenter__()
        for number in range(self._clients):
            self._group.create_task(self._one_client(number))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._ending.set()
        await self._group.__aexit__(kind, error, at)

    async def _one_client(self, number: int) -> None:
        while not self._ending.is_set():
            place = number % len(self._twins.questions)
            self._tally.judge(await ask(self._client, self._twins.questions[place]), self._twins.texts[place])
            number += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), self._rest_s)
