"""Which requests may be continued on another replica when their stream breaks, decided once before the first leg.

A continuation hands the answer so far to the next replica as part of its prompt. Whatever looks back over the answer
alone, or keeps a state while it comes, is then wrong or lost, and such a request is refused here with the reason in
words: an honest error is better than an answer that is not quite the one that was asked for. Every field of vLLM 0.32's
chat request was looked at; those not named here mean the same in every leg (repetition_penalty for one counts prompt
and answer alike).
"""

from collections.abc import Mapping
from typing import Any

from gateway.stop_strings import stop_strings

REFUSED_WHEN_SET = {
    "use_beam_search": "beam search follows several answers at once",
    "echo": "with echo vLLM renders the messages anew and ignores the tokens handed over",
    "prompt_logprobs": "the carried answer would be scored as prompt",
    "bad_words": "barred words are looked for in the answer only, not in the prompt that carries its beginning",
    "repetition_detection": "repetition is looked for in the answer only, not in the prompt that carries its beginning",
    "thinking_token_budget": "the budget is counted from where a leg begins",
    "structured_outputs": "a grammar cannot be entered in its middle",
    "watermarking": "the state of a watermark does not carry over",
    "kv_transfer_params": "the caller moves the engine's cache itself",
    "ec_transfer_params": "the caller moves the engine's cache itself",
    "vllm_xargs": "arguments for an extension of the engine may mean anything",
}
"""Fields that no continuation can honour, and why. Null, false and empty are not set."""

REFUSED_WHEN_OFF = {
    "include_reasoning": "without reasoning vLLM withholds the token ids",
    "spaces_between_special_tokens": "the space at the seam depends on the token before it",
}
"""Fields that are on by default and must stay so."""

COUNTS = ("max_tokens", "max_completion_tokens", "min_tokens")
PENALTIES = ("presence_penalty", "frequency_penalty")
OLD_GRAMMARS = "guided_"
TEXT = {"type", "text"}


def resumable(body: Mapping[str, Any]) -> str | None:
    """None if a broken stream of this request may be continued, else the reason why not, beginning with the field."""
    for decide in (_fields, _counts, _tools, _grammar, _stopping, _messages):
        if (reason := decide(body)) is not None:
            return reason
    return None


def offers_tools(body: Mapping[str, Any]) -> bool:
    """Whether the model may call a tool: vLLM lets it choose unless the request says otherwise."""
    return bool(body.get("tools")) and body.get("tool_choice") != "none"


def _fields(body: Mapping[str, Any]) -> str | None:
    for name, reason in REFUSED_WHEN_SET.items():
        value = body.get(name)
        if value is not None and value is not False and value not in ([], {}):  # a budget of 0 is one
            return f"{name}: {reason}"
    for name, reason in REFUSED_WHEN_OFF.items():
        if body.get(name) not in (None, True):
            return f"{name}: {reason}"
    return None


def _counts(body: Mapping[str, Any]) -> str | None:
    if body.get("n") not in (None, 1):
        return "n: several answers share one stream"
    for name in PENALTIES:
        if body.get(name) not in (None, 0):
            return f"{name}: it counts the answer only, not the prompt that carries its beginning"
    for name in COUNTS:
        if not isinstance(body.get(name), int | None):  # vLLM would read "5", but there is no counting down from it
            return f"{name}: not a whole number"
    return None


def _tools(body: Mapping[str, Any]) -> str | None:
    if not offers_tools(body):
        return None
    if body.get("tool_choice") not in (None, "auto"):
        return "tool_choice: a call that must be made is held to a grammar"
    if body.get("parallel_tool_calls") not in (None, True):
        return "parallel_tool_calls: a single call is held to a grammar"
    if any((tool.get("function") or {}).get("strict") for tool in body["tools"]):
        return "tools: strict ones are held to a grammar"
    return None


def _grammar(body: Mapping[str, Any]) -> str | None:
    wanted = (body.get("response_format") or {}).get("type", "text")
    if wanted != "text":
        return f"response_format: a grammar cannot be entered in its middle ({wanted})"
    for name in body:
        if name.startswith(OLD_GRAMMARS) and body[name] is not None:
            return f"{name}: a grammar cannot be entered in its middle"
    return None


def _stopping(body: Mapping[str, Any]) -> str | None:
    if not stop_strings(body):
        return None
    if body.get("min_tokens"):
        return "stop: with min_tokens stop strings count only after so many tokens, and we see text"
    if offers_tools(body):
        return "stop: with tools a stop string may end a call, which is read before we could cut it"
    include = body.get("include_stop_str_in_output")
    if not isinstance(include, bool | None):
        return "include_stop_str_in_output: neither true nor false"
    # We ask for the text with its stop string, and vLLM then shows a stop token's text as well.
    if not include and body.get("stop_token_ids"):
        return "stop: together with stop_token_ids the text of a stop token could not be told from the answer"
    if not include and body.get("skip_special_tokens") not in (None, True):
        return "stop: with special tokens shown the one that ends the answer could not be told from it"
    return None


def _messages(body: Mapping[str, Any]) -> str | None:
    for message in body["messages"]:
        content = message.get("content")
        if isinstance(content, list) and any(part.get("type") != "text" or part.keys() - TEXT for part in content):
            return "messages: with content other than text vLLM renders them anew and ignores the tokens handed over"
    return None
