"""Continues a broken answer on another replica: what each leg is asked.

The next leg is the same chat request with the tokens so far handed over in `kv_transfer_params.prompt_token_ids`, a
hook inside vLLM by which it skips its template and tokenizer (tests/contract/test_resume_engine.py holds it to that).
At temperature 0 the joined answer is the unbroken one. A sampled answer goes on as one the model could have given; its
seed starts anew. What cannot be continued exactly is refused, by `gateway.resumable` before the first leg or by
`Transcript.obstacle` after a break.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.resumable import offers_tools, resumable
from gateway.stop_strings import stop_strings
from gateway.transcript import Transcript

RENDERING = ("truncate_prompt_tokens", "truncation_side", "return_prompt_text")
"""Fields of a request that are about its prompt's text, of which a later leg has none."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing is left to generate: only the ending was lost. `reason` is the answer's finish reason."""

    reason: str


def first_leg(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body to send at first: streamed, with usage, and if the request is resumable with what a seam needs.

    With stop strings the text then comes with them left in, and must go through a StopFilter.
    """
    leg = {**body, "stream": True, "stream_options": {**(body.get("stream_options") or {}), "include_usage": True}}
    if resumable(body) is None:
        leg["return_token_ids"] = True
        if stop_strings(body):
            leg["include_stop_str_in_output"] = True
    return leg


def next_leg(body: Mapping[str, Any], transcript: Transcript) -> dict[str, Any] | Finished:
    """The body that continues a resumable request, or what it ended with if it is complete. Rewinds the transcript.

    To be asked only while `transcript.obstacle` is None. Without settled text it is the first leg again.
    """
    if transcript.finish is not None:
        return Finished(transcript.finish)
    carried = transcript.rewind()
    leg = first_leg(body)
    if not carried:
        return leg
    limit = "max_tokens" if body.get("max_completion_tokens") is None else "max_completion_tokens"
    if body.get(limit) is not None:  # without a limit vLLM fills the context, of which the carried tokens are part
        leg.pop("max_tokens", None)  # where both are given vLLM reads the other one
        leg[limit] = body[limit] - carried
        if leg[limit] < 1:
            return Finished("length")
    if body.get("min_tokens"):
        leg["min_tokens"] = max(0, body["min_tokens"] - carried)
    if offers_tools(body):
        leg["tool_choice"] = "none"  # text that has begun is no call, but a new parser could take its rest for one
    for name in RENDERING:
        leg.pop(name, None)
    leg["kv_transfer_params"] = {"prompt_token_ids": transcript.token_ids()}
    return leg
