"""One target as a client meets it: plain requests, answers taken apart, nothing hidden by a client library."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx

from tests.contract import transcript
from tests.contract.targets import Target
from tests.contract.transcript import Transcript

CHAT = "/v1/chat/completions"
MODELS = "/v1/models"
QUESTION = "What are your opening hours?"
# The first structured answer of a fresh CPU engine compiles a kernel for some 20 s.
TIMEOUT = httpx.Timeout(60, connect=5)


class Wire:
    """Requests to one target with its key. Bodies default to a short question at temperature 0."""

    def __init__(self, target: Target) -> None:
        self.target = target
        headers = {"authorization": f"Bearer {target.key}"} if target.key else {}
        self._options: dict[str, Any] = {"base_url": target.url, "headers": headers, "timeout": TIMEOUT}
        self.http = httpx.Client(**self._options)

    def close(self) -> None:
        self.http.close()

    def body(self, **fields: Any) -> dict[str, Any]:
        """A chat request; `question` is put into `messages` unless those are given."""
        question = fields.pop("question", QUESTION)
        defaults = {
            "model": self.target.model,
            "messages": [{"role": "user", "content": question}],
            "temperature": 0,
            "max_tokens": 24,
        }
        return {**defaults, **fields}

    def post(self, body: Any, **options: Any) -> httpx.Response:
        return self.http.post(CHAT, json=body, **options)

    def chat(self, **fields: Any) -> dict[str, Any]:
        """The body of an answer that must be a 200."""
        response = self.post(self.body(**fields))
        assert response.status_code == 200, f"{response.status_code}: {response.text[:500]}"
        answer: dict[str, Any] = response.json()
        return answer

    def stream(self, **fields: Any) -> Transcript:
        """The whole of a streamed answer."""
        with self.open(**fields) as response:
            return transcript.read(response)

    @contextmanager
    def open(self, **fields: Any) -> Iterator[httpx.Response]:
        """A streamed answer that must be a 200, its body not yet read. Leaving early closes the connection."""
        with self.http.stream("POST", CHAT, json=self.body(stream=True, **fields)) as response:
            if response.status_code != 200:
                response.read()
            assert response.status_code == 200, f"{response.status_code}: {response.text[:500]}"
            yield response

    @asynccontextmanager
    async def concurrently(self, connections: int) -> AsyncIterator[httpx.AsyncClient]:
        """An async client with room for so many connections at once."""
        limits = httpx.Limits(max_connections=connections)
        async with httpx.AsyncClient(**self._options, limits=limits) as client:
            yield client


def message(answer: dict[str, Any], index: int = 0) -> dict[str, Any]:
    """The message of one choice."""
    found: dict[str, Any] = answer["choices"][index]["message"]
    return found


def text(answer: dict[str, Any], index: int = 0) -> str:
    """The text of one choice; "" when it called a tool."""
    return message(answer, index)["content"] or ""
