"""Joins a later leg of a resumed answer to what came before, so that the client sees one answer that goes on.

Only what is true of the whole answer is shown: the first leg's identity, one role, one usage. The last chunks tell that
the answer was resumed, and how often.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.transcript import Transcript
from shared.headers import RESUMED

OF_ONE_LEG = frozenset({"prompt_token_ids", "prompt_text", "metrics"})
"""Fields of a chunk that are true of its leg but not of the answer."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What every chunk of one answer must agree in; the fingerprint is None until the engine has told it."""

    id: str
    created: int
    model: str
    system_fingerprint: str | None = None

    @classmethod
    def of(cls, chunk: Mapping[str, Any]) -> "Identity":
        """The identity that a chunk shows. Raises KeyError on something that is no chunk."""
        return cls(chunk["id"], chunk["created"], chunk["model"], chunk.get("system_fingerprint"))


@dataclass(frozen=True, slots=True)
class Seam:
    """How a leg joins what came before. `carried` is the answer's tokens in its prompt; `resumed` counts from 1."""

    first: Identity
    resumed: int
    carried: int
    wants_token_ids: bool


def merged_usage(usage: Mapping[str, Any], carried: int) -> dict[str, Any]:
    """A later leg's usage as that of the whole answer: the carried tokens are the answer's, not the prompt's."""
    prompt = max(0, usage["prompt_tokens"] - carried)  # the engine's word, which it may contradict
    completion = (usage.get("completion_tokens") or 0) + carried
    merged = _usage(usage, prompt, completion)
    if details := usage.get("prompt_tokens_details"):
        capped, room = dict(details), prompt
        for name in ("cached_tokens", "created_cache_tokens"):  # those of carried tokens are not the prompt's
            if details.get(name) is not None:
                capped[name] = min(details[name], room)
                room -= capped[name]
        merged["prompt_tokens_details"] = capped
    return merged


def usage_of(transcript: Transcript) -> dict[str, Any]:
    """The usage counted here, for an answer whose usage chunk was lost or was never to come."""
    return _usage({}, *transcript.counts())


def rewrite(chunk: Mapping[str, Any], seam: Seam) -> dict[str, Any] | None:
    """A later leg's chunk as the client must see it: the one answer goes on. None if it has nothing to say."""
    choices = [shown for choice in chunk["choices"] if (shown := _shown(choice, seam)) is not None]
    if chunk["choices"] and not choices:
        return None
    seen = {name: value for name, value in chunk.items() if name not in OF_ONE_LEG}
    seen |= {"id": seam.first.id, "created": seam.first.created, "model": seam.first.model, "choices": choices}
    if seam.first.system_fingerprint is not None and "system_fingerprint" in chunk:
        seen["system_fingerprint"] = seam.first.system_fingerprint
    if chunk.get("usage") is not None:
        seen["usage"] = merged_usage(chunk["usage"], seam.carried)
    if not choices or any(choice.get("finish_reason") is not None for choice in choices):
        seen[RESUMED] = seam.resumed
    return seen


def _shown(choice: Mapping[str, Any], seam: Seam) -> dict[str, Any] | None:
    # Without return_token_ids vLLM sends no chunk for tokens without text, and the role has long been told.
    shown = {name: value for name, value in choice.items() if name != "token_ids" or seam.wants_token_ids}
    shown["delta"] = {name: value for name, value in choice["delta"].items() if name != "role"}
    told = (shown.get("finish_reason"), shown.get("logprobs"), shown.get("token_ids"), *shown["delta"].values())
    return shown if any(told) else None


def _usage(usage: Mapping[str, Any], prompt: int, completion: int) -> dict[str, Any]:
    total = prompt + completion
    return {**usage, "prompt_tokens": prompt, "total_tokens": total, "completion_tokens": completion}
