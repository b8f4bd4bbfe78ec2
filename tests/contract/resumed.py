"""A broken answer as its client hears it: legs cut on purpose, continued by `gateway.resume`, and joined.

What a relay does on the way of every chunk is done here in a few lines, with the gateway's own decisions.
"""

import json
import os
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from gateway.resume import Finished, first_leg, next_leg
from gateway.seam import Identity, Seam, rewrite, usage_of
from gateway.stop_strings import StopFilter, stop_strings
from gateway.transcript import transcript_of
from tests.contract.wire import CHAT, TIMEOUT

LIMIT = 24
ATTEMPTS = 10


@dataclass
class Heard:
    """What a client has of an answer.

    `legs` are the bodies that were sent for it. `merged` tells that some chunk had several tokens: an engine that is
    behind sends them so.
    """

    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    finish: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    roles: int = 0
    identities: set[tuple[str, int, str]] = field(default_factory=set)
    legs: list[dict[str, Any]] = field(default_factory=list)
    obstacle: str | None = None
    merged: bool = False

    def counts(self) -> tuple[int, int, int]:
        return self.usage["prompt_tokens"], self.usage["completion_tokens"], self.usage["total_tokens"]


class Replicas:
    """The target and, in the local stack, its sister engines, taking turns; a leg is cut by closing its connection."""

    def __init__(self, target):
        stack = [url.strip().rstrip("/") for url in os.environ.get("ENGINE_URLS", "").split(",")]
        urls = stack if target.url in stack else [target.url]
        headers = {"authorization": f"Bearer {target.key}"}
        self._engines = [httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT) for url in urls]
        self._model = target.model
        self._whole: set[int] = set()

    def close(self):
        for engine in self._engines:
            engine.close()

    def ids_of(self, text):
        """The tokens of a text, without the one that begins every prompt."""
        answer = self._engines[0].post(
            "/tokenize", json={"model": self._model, "prompt": text, "add_special_tokens": False}
        )
        return answer.raise_for_status().json()["tokens"]

    def chunks(self, body, leg):
        """The chunks of one leg; replicas take turns."""
        engine = self._engines[leg % len(self._engines)]
        with engine.stream("POST", CHAT, json=body) as response:
            if response.status_code != 200:
                pytest.fail(f"leg {leg}: {response.status_code} {response.read()[:500]!r}")
            for line in response.iter_lines():
                if line.startswith("data: {"):
                    yield json.loads(line.removeprefix("data: "))

    def hear(self, cuts=(), **fields):
        """The answer to a question whose n-th leg breaks after `cuts[n]` chunks, as a relay would put it together.

        Asked again while the engine merges chunks that were to be one token each, for then the cuts fall elsewhere.
        """
        for _ in range(ATTEMPTS):
            heard = self._hear(cuts, fields)
            if not heard.merged or "stream_interval" in fields:
                return heard
        pytest.fail("the engine is too busy to send its tokens one by one")

    def _hear(self, cuts, fields):
        question = {"messages": [{"role": "user", "content": "What are your opening hours?"}], "max_tokens": LIMIT}
        body = {"model": self._model, "temperature": 0, **question, **fields}
        listener = Listener(body, self._whole)
        leg = first_leg(body)
        for place, cut in enumerate([*cuts, None]):
            listener.heard.legs.append(leg)
            if listener.listen(self.chunks(leg, place), cut):
                return listener.heard
            listener.heard.obstacle = listener.transcript.obstacle
            if listener.heard.obstacle is not None:
                return listener.heard
            leg = next_leg(body, listener.transcript)
            if isinstance(leg, Finished):
                listener.heard.finish, listener.heard.usage = leg.reason, usage_of(listener.transcript)
                return listener.heard
        pytest.fail("the last leg has no end")


class Listener:
    """Puts the legs of one answer together. Chunks without text wait until text comes, as in a relay."""

    def __init__(self, body, whole):
        self.heard = Heard()
        self.transcript = transcript_of(body, whole)
        stops = stop_strings(body)
        self._stops = StopFilter(stops, include=False) if stops else None
        self._first = None
        self._resumed = -1

    def listen(self, chunks, cut):
        """Whether the answer is complete with this leg, of which `cut` chunks come (all if None)."""
        self._resumed += 1
        carried, waiting, ended = self.transcript.settled, [], False
        for place, chunk in enumerate(chunks):
            if place == cut:
                chunks.close()
                break
            self._first = self._first or Identity.of(chunk)
            seam = Seam(self._first, self._resumed, carried, wants_token_ids=True)
            text = self._note(chunk)
            waiting.append(chunk if self._resumed == 0 else rewrite(chunk, seam))
            if text or self.transcript.in_step:
                for shown in waiting:
                    self._show(shown)
                waiting = []
            if self._stops and self._stops.stopped and self.heard.finish is None:
                self.heard.finish, self.heard.usage = "stop", usage_of(self.transcript)
                chunks.close()
                return True
            ended = ended or not chunk["choices"]
        return ended

    def _note(self, chunk):
        text = ""
        for choice in chunk["choices"]:
            text = choice["delta"].get("content") or ""
            self.heard.merged |= len(choice.get("token_ids") or []) > 1
            other = bool(choice["delta"].get("tool_calls"))
            prompt = chunk.get("prompt_token_ids")
            self.transcript.note(
                choice.get("token_ids"), text, choice["finish_reason"], prompt_token_ids=prompt, other=other
            )
        return text

    def _show(self, chunk):
        if chunk is None:
            return
        heard = self.heard
        heard.identities.add((chunk["id"], chunk["created"], chunk["model"]))
        for choice in chunk["choices"]:
            text = choice["delta"].get("content") or ""
            heard.roles += "role" in choice["delta"]
            heard.text += self._stops.push(text) if self._stops else text
            heard.token_ids += choice.get("token_ids") or []
            heard.logprobs += (choice.get("logprobs") or {}).get("content") or []
            if choice["finish_reason"] is not None:
                heard.finish = choice["finish_reason"]
                heard.text += self._stops.end() if self._stops else ""
        heard.usage = chunk.get("usage") or heard.usage
