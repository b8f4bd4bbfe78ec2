"""A client that hears an answer over as many legs as it takes, for tests of what it is told.

It does in a few lines what a relay does, with the toy engine in the place of the replicas: it tells chunks, breaks a
leg where the test says, and goes on with the next one. What it hears it reads from the bytes that would be sent.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.narrator import Narrator
from gateway.ports import Chunk
from gateway.wire.openai import OpenAiEncoder
from shared.sse import Decoder
from tests.unit.gateway import chunks

BODY: dict[str, Any] = {"model": chunks.MODEL, "messages": [{"role": "user", "content": "Hi"}]}


def narrator(**fields: Any) -> Narrator:
    return Narrator({**BODY, **fields}, set())


def events(told: Sequence[Chunk], *, wants_ids: bool = False, wants_usage: bool = True) -> list[dict[str, Any]]:
    """What a client reads of these chunks."""
    raw = OpenAiEncoder("req_1", wants_usage=wants_usage, wants_ids=wants_ids).encode(told)
    return [json.loads(event.data) for event in Decoder().feed(raw) if event.data]


@dataclass
class Heard:
    """What a client has of an answer."""

    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    odds: list[str] = field(default_factory=list)
    roles: int = 0
    identities: set[tuple[str, int, str]] = field(default_factory=set)
    finishes: list[str] = field(default_factory=list)
    usages: list[dict[str, Any]] = field(default_factory=list)
    refused: str = ""

    def hear(self, told: Sequence[Chunk], *, wants_ids: bool) -> None:
        for event in events(told, wants_ids=wants_ids):
            self.identities.add((event["id"], event["created"], event["model"]))
            if event.get("usage"):
                self.usages.append(event["usage"])
            for choice in event["choices"]:
                self.roles += "role" in choice["delta"]
                self.text += choice["delta"].get("content") or ""
                self.token_ids += choice.get("token_ids") or []
                self.odds += [odds["token"] for odds in (choice.get("logprobs") or {}).get("content") or []]
                self.finishes += [choice["finish_reason"]] if choice["finish_reason"] else []


def heard(
    script: bytes, fields: dict[str, Any], cuts: Sequence[int] = (), sizes: Sequence[int] = (), at_once: int = 1
) -> Heard:
    """An answer whose n-th leg breaks after `cuts[n]` chunks, read `at_once` chunks at a time."""
    client, teller = Heard(), narrator(**fields)
    wants_ids = bool(fields.get("return_token_ids"))
    body: dict[str, Any] | list[Chunk] = teller.first_leg()
    for number, cut in enumerate([*cuts, None]):
        assert isinstance(body, dict)
        leg = list(chunks.leg(script, body, sizes, number))
        for start in range(0, len(leg[:cut]), at_once):
            client.hear(teller.tell(leg[:cut][start : start + at_once]), wants_ids=wants_ids)
            if teller.complete:
                return client
        if cut is None or cut >= len(leg) or teller.all_said:
            client.hear(teller.end(), wants_ids=wants_ids)
            return client
        if teller.why_not:
            client.refused = teller.why_not
            return client
        body = teller.next_leg()
        if isinstance(body, list):
            client.hear(body, wants_ids=wants_ids)
            return client
    raise AssertionError("the last leg has no end")
