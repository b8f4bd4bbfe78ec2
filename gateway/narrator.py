"""Tells the client one answer, whatever legs it comes in: ids, role, text, ending and usage are those of one stream.

The relay brings the chunks of each leg, and this decides what of them the client sees. On the first leg of an ordinary
request that is all of them, byte for byte, so that the cost of a token is that of taking notes. Pure; the rules of
joining two legs are in `gateway.seam`, those of stop strings in `gateway.stop_strings`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import from_json

from gateway import resume
from gateway.ports import ONLY_FIRST, Chunk
from gateway.resumable import resumable
from gateway.resume import Finished
from gateway.seam import Identity, Seam, rewrite, usage_of
from gateway.stop_strings import StopFilter, stop_strings
from gateway.transcript import transcript_of
from shared import sse
from shared.headers import RESUMED


class Narrator:
    """One answer on its way to the client. `body` is the request as the client may make it.

    `whole` are the tokens that are known to end where a character ends: one set for all answers of a model.
    """

    def __init__(self, body: Mapping[str, Any], whole: set[int]) -> None:
        self._body = body
        self._fixed_obstacle = resumable(body) or ""
        self._transcript = transcript_of(body, whole)
        self._wants_ids = bool(body.get("return_token_ids"))
        self._filter: StopFilter | None = None
        # What a token carries beside its text would come twice if it were generated again after a break: it is kept
        # back until its text has come.
        self._keeps_back = not self._fixed_obstacle and (self._wants_ids or bool(body.get("logprobs")))
        self._kept: list[Chunk] = []
        self._plain = not self._keeps_back
        if not self._fixed_obstacle and (stops := stop_strings(body)):
            self._filter = StopFilter(stops, include=bool(body.get("include_stop_str_in_output")))
            self._plain = False
        self._head: Chunk | None = None
        self._identity: Identity | None = None
        self._resumed = 0
        self._carried = 0
        self._open: set[int] = set()
        self._usage: Mapping[str, Any] = {}
        self._counted = False  # the engine's own count has come; one beside text is not the last
        self.finish_reason: str | None = None
        self.complete = False
        """The answer has ended by a stop string that only we could see: nothing more of the leg is wanted."""

    # ---- the request

    def first_leg(self) -> dict[str, Any]:
        """The body to ask the first replica with."""
        return resume.first_leg(self._body)

    def next_leg(self) -> dict[str, Any] | list[Chunk]:
        """The body to ask the next replica with; or, where only the ending was lost, the chunks that are left to tell.

        To be asked only while `why_not` is empty.
        """
        self._kept = []
        leg = resume.next_leg(self._body, self._transcript)
        if isinstance(leg, Finished):
            return [self._ending(leg.reason), *self.end()]
        self._carried = self._transcript.settled
        self._resumed += 1
        self._plain = False
        self._open.clear()
        return leg

    # ---- the state of the answer

    @property
    def why_not(self) -> str:
        """Why the answer could not go on elsewhere if it broke now; "" if it could."""
        return self._fixed_obstacle or self._transcript.obstacle or ""

    @property
    def all_said(self) -> bool:
        """Whether the answer itself has ended, and at most the usage and [DONE] are missing."""
        return self.finish_reason is not None and not self._open

    @property
    def unfinished(self) -> bool:
        """Whether a choice has begun and not ended."""
        return bool(self._open) or self.finish_reason is None

    @property
    def produced(self) -> bool:
        """Whether the leg under way has brought anything of the answer."""
        return self._transcript.settled > self._carried or (bool(self._fixed_obstacle) and self._head is not None)

    @property
    def usage(self) -> Mapping[str, Any]:
        """The tokens of the whole answer: the engine's count, or ours while that has not come."""
        prompt, _ = self._transcript.counts()
        return self._usage if self._counted or not prompt else usage_of(self._transcript)

    # ---- the telling

    def tell(self, chunks: list[Chunk]) -> list[Chunk]:
        """What the client sees of these chunks; [] if nothing."""
        if self._plain:
            for chunk in chunks:
                self._note(chunk)
            return chunks
        told: list[Chunk] = []
        for chunk in chunks:
            self._note(chunk)
            if (seen := self._edit(chunk)) is None:
                continue
            self._kept.append(seen)
            if self._keeps_back and not chunk.text and not self._transcript.in_step:
                continue
            told += self._kept
            self._kept = []
            if self.complete:
                return [*told, *self.end()]
        return told

    def end(self) -> list[Chunk]:
        """What is left to tell when the leg has ended, or will not be read on: the usage, if it has not come."""
        kept, self._kept = self._kept, []
        if self._counted or self._head is None or not (usage := self.usage):
            return kept
        self._usage, self._counted = usage, True
        body = {**self._frame(), "choices": [], "usage": dict(usage)}
        return [*kept, Chunk(self._raw(body), usage=usage)]

    def _note(self, chunk: Chunk) -> None:
        if chunk.choices:
            if self._head is None:
                self._head = chunk
            reason = None
            self._open.update(chunk.choices)
            if chunk.finished:
                for index, reason in chunk.finished:  # noqa: B007  # the last one counts
                    self._open.discard(index)
                self.finish_reason = reason
            if not self._fixed_obstacle:
                self._transcript.note(
                    chunk.token_ids, chunk.text, reason, prompt_token_ids=chunk.prompt_token_ids, other=chunk.tools
                )
        if chunk.usage is not None:
            self._counted = not chunk.choices
            if not self._resumed:
                self._usage = chunk.usage

    def _edit(self, chunk: Chunk) -> Chunk | None:
        """A chunk as the client must see it, where that is not as it came; None if there is nothing to see."""
        if not (chunk.choices or chunk.usage is not None):
            return chunk  # a comment
        if not self._resumed and (self._filter is None or not chunk.choices or chunk.prompt_token_ids is not None):
            return chunk  # what the encoder leaves out of it is not our business
        body: dict[str, Any] | None = from_json(_data(chunk.raw), cache_strings="keys")
        assert body is not None  # noqa: S101  # it was parsed as an object when it came
        if self._resumed and (body := rewrite(body, self._seam())) is None:
            return None
        if self._resumed and chunk.usage is not None:
            self._usage = body["usage"]
        elif not self._resumed and not self._wants_ids:
            body["choices"][0].pop("token_ids", None)
        if self._filter is not None and body["choices"]:
            self._cut(chunk, body["choices"][0], self._filter)
            if self._resumed and self.complete:
                body[RESUMED] = self._resumed
        usage = body.get("usage") if chunk.usage is not None else None
        return Chunk(self._raw(body), chunk.choices, chunk.content, _text(body), finished=chunk.finished, usage=usage)

    def _cut(self, chunk: Chunk, choice: dict[str, Any], stops: StopFilter) -> None:
        """Lets through of a chunk's text what the stop strings allow."""
        shown = stops.push(chunk.text)
        if chunk.finished and stops.stopped is None:
            shown += stops.end()
        choice["delta"] = {name: value for name, value in choice["delta"].items() if name != "content"}
        if shown:
            choice["delta"]["content"] = shown
        if stops.stopped is not None:  # which is the reason even where the engine, which saw less, has another one
            choice["finish_reason"], choice["stop_reason"] = "stop", stops.stopped
            self.complete = not chunk.finished
            chunk.finished = ((0, "stop"),)
            self.finish_reason = "stop"
            self._open.clear()

    def _ending(self, reason: str) -> Chunk:
        """The chunk that ends the answer, where the engine's own was lost."""
        delta = {"content": rest} if self._filter is not None and (rest := self._filter.end()) else {}
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason, "stop_reason": None}
        self.finish_reason = reason
        self._open.clear()
        body = {**self._frame(), "choices": [choice]}
        return Chunk(self._raw(body), ONLY_FIRST, True, str(delta.get("content", "")), finished=((0, reason),))

    def _seam(self) -> Seam:
        return Seam(self._first(), self._resumed, self._carried, self._wants_ids)

    def _frame(self) -> dict[str, Any]:
        first = self._first()
        frame: dict[str, Any] = {
            "id": first.id,
            "object": "chat.completion.chunk",
            "created": first.created,
            "model": first.model,
        }
        return {**frame, RESUMED: self._resumed} if self._resumed else frame

    def _first(self) -> Identity:
        if self._identity is None:
            assert self._head is not None  # noqa: S101  # a leg follows one that had begun
            self._identity = Identity.of(from_json(_data(self._head.raw), cache_strings="keys"))
        return self._identity

    def _raw(self, body: Mapping[str, Any]) -> bytes:
        return sse.encode(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))


def _data(raw: bytes) -> bytes:
    (event,) = sse.Decoder().feed(raw)
    return event.data


def _text(body: Mapping[str, Any]) -> str:
    choices: Sequence[Mapping[str, Any]] = body["choices"]
    return str(choices[0]["delta"].get("content") or "") if choices else ""
