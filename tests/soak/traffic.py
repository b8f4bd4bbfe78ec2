"""The soak's clients: every kind of request that the gateway knows, in random order, and every way to leave.

Each answer is judged as in the chaos suite: whole and equal to its unbroken twin, or ended by a typed error. At the
conversation door an answer that breaks is torn, which is how its readers are told; so there a torn answer counts as a
typed error, if what came of it is the beginning of its twin.
"""

import asyncio
import json
import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.scripted import engine
from tests.chaos.tally import Lost, Result, Tally, verdict
from tests.support.spoken import conversation
from tests.support.upstream import MODEL

CHAT = "/v1/chat/completions"
SPEAK = "/api/chat"
TORN = "torn, as the conversation door tells it"
CHAT_TOKENS = 32
"""An answer of the conversation door; the gateway's settings say so too."""

LEAVING = 0.15
"""Of the clients; each after a while of less than LEAVES_WITHIN_S, which is any phase of a request."""
LEAVES_WITHIN_S = 0.5
REFUSED_PAUSE_S = 1.0
CLIENT_TIMEOUT_S = 60.0

TOOL = {
    "type": "function",
    "function": {"name": "find_car", "parameters": {"type": "object", "properties": {"make": {"type": "string"}}}},
}


@dataclass(frozen=True)
class Request:
    """One request, the text of its whole answer where that is known, and the one error it must end in, if any."""

    content: bytes
    path: str = CHAT
    headers: dict[str, str] = field(default_factory=dict)
    twin: str | None = None
    error: str | None = None


def _body(chance: random.Random, **changes: Any) -> dict[str, Any]:
    """A streamed question; a third of them have others' beginning, so that affinity has something to hold."""
    beginning = "We talked about this before. " * 40 if chance.random() < 0.33 else ""
    asked = {"role": "user", "content": f"{beginning}Question {chance.randrange(10**9)}: which car?"}
    tokens = chance.randrange(1, 33)
    return {"model": MODEL, "messages": [asked], "stream": True, "max_tokens": tokens, "ignore_eos": True, **changes}


def _request(body: dict[str, Any], twin: bool = True, **headers: str) -> Request:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(json.dumps(body).encode(), headers=told, twin=engine.twin(body) if twin else None)


def _stream(chance: random.Random) -> Request:
    return _request(_body(chance, stream_options={"include_usage": chance.random() < 0.5}))


def _whole(chance: random.Random) -> Request:
    return _request(_body(chance, stream=False))


def _spoken(chance: random.Random) -> Request:
    message = f"Customer {chance.randrange(10**9)}: do you have a red one?"
    twin = engine.twin({"messages": conversation(message), "max_tokens": CHAT_TOKENS})
    return Request(json.dumps({"message": message}).encode(), SPEAK, twin=twin)


def _tools(chance: random.Random) -> Request:
    return _request(_body(chance, tools=[TOOL]), twin=False)


def _stops(chance: random.Random) -> Request:
    return _request(_body(chance, stop=["four doors", "."]))


def _scored(chance: random.Random) -> Request:
    return _request(_body(chance, logprobs=True, top_logprobs=1))


def _several(chance: random.Random) -> Request:
    return _request(_body(chance, n=2), twin=False)


def _batch(chance: random.Random) -> Request:
    return _request(_body(chance), x_scout_priority="batch")


def _hurried(chance: random.Random) -> Request:
    return _request(_body(chance), x_scout_deadline_ms=str(chance.randrange(1, 400)))


def _big(chance: random.Random) -> Request:
    asked = {"role": "user", "content": f"{chance.randrange(10**9)}" + " and a car" * chance.randrange(2000, 6000)}
    return _request(_body(chance, messages=[asked]))


def _bad(chance: random.Random) -> Request:
    good = _body(chance)
    content, path, headers, error = chance.choice(
        (
            (b'{"model": "llama', CHAT, {}, "invalid_json"),
            (json.dumps({**good, "messages": []}).encode(), CHAT, {}, "invalid_field"),
            (json.dumps({**good, "n": 1000}).encode(), CHAT, {}, "invalid_field"),
            (json.dumps({**good, "model": "another"}).encode(), CHAT, {}, "model_not_found"),
            (json.dumps(good).encode(), CHAT, {"authorization": "Bearer nobody"}, "invalid_api_key"),
            (json.dumps(good).encode(), "/v1/nothing", {}, "not_found"),
            (json.dumps(good).encode(), CHAT, {"x-scout-deadline-ms": "soon"}, "invalid_field"),
            (b'{"message": "' + b"x" * 9000 + b'"}', SPEAK, {}, "invalid_field"),
        )
    )
    return Request(content, path, dict(headers), error=error)


KINDS: dict[Callable[[random.Random], Request], int] = {
    _stream: 26,
    _whole: 18,
    _spoken: 14,
    _tools: 8,
    _stops: 8,
    _scored: 6,
    _several: 3,
    _batch: 8,
    _hurried: 5,
    _big: 2,
    _bad: 8,
}
"""What is asked, and how often."""


def draw(chance: random.Random) -> Request:
    """The next request."""
    return chance.choices(list(KINDS), list(KINDS.values()))[0](chance)


def judge(tally: Tally, request: Request, result: Result) -> None:
    """Counts one result."""
    if request.path == SPEAK and result.status == 200 and not result.ended and not result.left:
        tally.sent += 1
        said = result.body.decode(errors="ignore")  # a character may be torn too
        if (request.twin or "").startswith(said):
            tally.typed[TORN] += 1
        else:
            tally.lost.append(f"torn, and not its twin's beginning: {said[-100:]!r}")
        return
    if request.error is None or result.left:
        tally.judge(result, request.twin)
        return
    tally.sent += 1
    try:
        code = verdict(result)[0]
    except Lost as lost:
        code = str(lost)
    if code == request.error:
        tally.typed[code] += 1
    else:
        tally.lost.append(f"{request.error} was due, and there came: {code or 'a whole answer'}")


class Crowd:
    """So many clients, each asking again as soon as it has its answer, until told to stop. `tally` is the sum."""

    def __init__(self, url: str, key: str, clients: int, seed: int) -> None:
        self._url, self._key = url, key
        self._clients, self._seed = clients, seed
        self._tls = ssl.create_default_context()  # never used, but costly to make, and httpx wants one for each client
        self._stop = asyncio.Event()
        self.tally = Tally()

    async def run(self) -> None:
        """Asks until `stop`; returns when the last answer is there and all connections are closed."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._clients):
                group.create_task(self._one(random.Random(f"{self._seed}/{number}")))

    def stop(self) -> None:
        """Nobody asks again."""
        self._stop.set()

    async def _one(self, chance: random.Random) -> None:
        """One client after the other: who leaves takes all its connections along.

        Cancelled requests leave connections behind in httpx's pool. They stay open, and would look like the gateway's.
        """
        while not self._stop.is_set():
            async with self._client() as client:
                while not self._stop.is_set() and await self._stays(client, chance):
                    pass

    async def _stays(self, client: httpx.AsyncClient, chance: random.Random) -> bool:
        request = draw(chance)
        stays_s = chance.uniform(0, LEAVES_WITHIN_S) if chance.random() < LEAVING else CLIENT_TIMEOUT_S
        result = await self._ask(client, request, stays_s)
        judge(self.tally, request, result)
        if result.status == 429:  # who asks again at once is answered so fast that refusals are most of the run
            await asyncio.sleep(chance.uniform(0, REFUSED_PAUSE_S))
        return not result.left

    def _client(self) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        return httpx.AsyncClient(
            base_url=self._url, headers=headers, timeout=CLIENT_TIMEOUT_S, verify=self._tls, trust_env=False
        )

    async def _ask(self, client: httpx.AsyncClient, request: Request, stays_s: float) -> Result:
        status, kind, body, failure, left = None, "", bytearray(), "", False
        try:
            async with (
                asyncio.timeout(stays_s) as stay,
                client.stream("POST", request.path, content=request.content, headers=request.headers) as answer,
            ):
                status, kind = answer.status_code, answer.headers.get("content-type", "")
                async for part in answer.aiter_raw():
                    body += part
        except TimeoutError:
            left = stay.expired() and stays_s < CLIENT_TIMEOUT_S
            failure = "the client waited in vain"
        except httpx.HTTPError as error:
            failure = f"{type(error).__name__}: {error}"
        return Result(status, kind, bytes(body), ended=not failure, failure=failure, left=left)
