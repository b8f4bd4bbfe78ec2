"""Which fields of a chat completion a client may set, and how far: decided once per request, before it is queued.

Three kinds of fields are not the client's. What steers the machinery between gateway and engine is refused, and so is
what the engine would silently ignore although the answer depends on it. Work without a bound gets one. What separates
clients from each other (priority, cache salt) is set here. Everything else passes unchanged, known to us or not: the
engine judges it. Promises: the body is never changed, null means not sent, and a refusal names field, bound and remedy.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import InvalidField
from gateway.settings import Limits

MAX_TOKEN_IDS = 1024
"""Entries of a field that names single tokens: each is looked at on the engine's thread that serves everybody."""

_MAX_SALT_CHARS = 128
_FORBIDDEN_IN_SALT = frozenset("@/\\\0")

Check = Callable[[str, Any, Limits], None]


@dataclass(frozen=True, slots=True)
class Refused:
    """Not the client's to set. `unless` is the value that asks for nothing: sent like that, the field is left out."""

    hint: str
    unless: object = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """Left out without a word, since the answer is the same without it."""

    why: str


@dataclass(frozen=True, slots=True)
class Set:
    """The gateway's to set; a client's own value is refused with the hint."""

    hint: str


@dataclass(frozen=True, slots=True)
class Bounded:
    """The client's, within bounds. `check` raises InvalidField."""

    check: Check


def admit(body: Mapping[str, Any], limits: Limits, *, tenant: str, priority: int) -> dict[str, Any]:
    """The body to send on, a shallow copy. `priority` is the engine's: lower is earlier. Raises InvalidField."""
    sent: dict[str, Any] = {}
    for name, value in body.items():
        rule = FIELDS.get(name)
        if rule is not None:
            if value is None or isinstance(rule, Dropped):
                continue
            if isinstance(rule, Bounded):
                rule.check(name, value, limits)
            elif isinstance(rule, Refused) and rule.unless is not None and value == rule.unless:
                continue
            else:
                raise _invalid(name, f"not a client's to set. {rule.hint}")
        sent[name] = value
    sent["cache_salt"] = cache_salt(tenant)
    sent["priority"] = priority
    return sent


def cache_salt(tenant: str) -> str:
    """Keeps a tenant's cached prefixes from being probed by another: vLLM shares cache only where the salt is equal.

    vLLM 0.32 refuses a salt of more than 128 characters, or with one of `@ / \\ NUL` (`validate_cache_salt`). A name
    that would be refused is hashed, not cut or cleaned, so that two tenants never end up with one salt.
    """
    salt = f"scout-{tenant}"
    if len(salt) <= _MAX_SALT_CHARS and _FORBIDDEN_IN_SALT.isdisjoint(salt):
        return salt
    return f"scout-sha256-{hashlib.sha256(tenant.encode()).hexdigest()}"


def _invalid(name: str, problem: str) -> InvalidField:
    return InvalidField(f"{name}: {problem}", param=name)


def _whole(name: str, value: object, least: int, most: int) -> None:
    # The engine would take "9000" and 9000.0 for a number too. It is not repeated: it may have thousands of digits.
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _invalid(name, f"must be a whole number from {least} to {most}. Send one of these, or leave it out.")


def _answers(name: str, value: object, limits: Limits) -> None:
    _whole(name, value, 1, limits.max_answers)


def _tokens(name: str, value: object, limits: Limits) -> None:
    _whole(name, value, 1, limits.max_tokens)


def _least_tokens(name: str, value: object, limits: Limits) -> None:
    _whole(name, value, 0, limits.max_tokens)


def _odds(name: str, value: object, limits: Limits) -> None:
    # Below zero, -1 asks the engine for its whole vocabulary at every token.
    _whole(name, value, 0, limits.max_top_logprobs)


def _logprobs(name: str, value: object, limits: Limits) -> None:
    if not isinstance(value, bool):
        _odds(name, value, limits)


def _strings(name: str, value: object, limits: Limits) -> None:
    strings = [value] if isinstance(value, str) else _list(name, value)
    if len(strings) > limits.max_stop_strings:
        raise _too_many(name, len(strings), limits.max_stop_strings)
    for string in strings:
        if not isinstance(string, str):
            raise _invalid(name, "must be strings.")
        if len(string) > limits.max_stop_chars:
            raise _invalid(
                name, f"a string of {len(string)} characters; at most {limits.max_stop_chars} are allowed. Shorten it."
            )


def _stop_ids(name: str, value: object, limits: Limits) -> None:
    count = len(_list(name, value))
    if count > limits.max_stop_strings:
        raise _too_many(name, count, limits.max_stop_strings)


def _token_ids(name: str, value: object, limits: Limits) -> None:
    count = len(value) if isinstance(value, dict) else len(_list(name, value))
    if count > MAX_TOKEN_IDS:
        raise _too_many(name, count, MAX_TOKEN_IDS)


def _schema(name: str, value: object, limits: Limits) -> None:
    _fits(name, _size(value), limits)


def _tools(name: str, value: object, limits: Limits) -> None:
    tools = _list(name, value)
    if len(tools) > limits.max_tools:
        raise _too_many(name, len(tools), limits.max_tools)
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)]
    schemas = [function.get("parameters") for function in functions if isinstance(function, dict)]
    _fits(name, sum(_size(schema) for schema in schemas if schema is not None), limits)


def _switches(name: str, value: object, limits: Limits) -> None:
    # Other values could replace what the server renders a prompt from, or reach arguments of the tokenizer.
    if not isinstance(value, dict) or not all(one is None or isinstance(one, bool) for one in value.values()):
        raise _invalid(name, "only switches are allowed, true or false. Say everything else in `messages`.")


def _list(name: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise _invalid(name, "must be a list.")
    return value


def _too_many(name: str, count: int, most: int) -> InvalidField:
    return _invalid(name, f"{count} entries; at most {most} are allowed. Send fewer.")


def _size(value: object) -> int:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "surrogatepass"))


def _fits(name: str, size: int, limits: Limits) -> None:
    if size > limits.max_schema_bytes:
        raise _invalid(
            name, f"{size} bytes of schema or grammar; at most {limits.max_schema_bytes} are allowed. Simplify it."
        )


_MACHINERY = "It steers the servers behind this gateway. Leave it out."
_TOKENS = "The prompt is made from `messages` alone. Send text there."
_MEDIA = "It tunes how the engine loads media. Leave it out."
_REMOVED = "The engine would ignore it and answer unconstrained. Use `response_format` or `structured_outputs`."

FIELDS: Mapping[str, Refused | Dropped | Set | Bounded] = {
    "priority": Set("Send the header x-scout-priority, which may lower a request's priority."),
    "cache_salt": Set("The gateway keeps the caches of its clients apart. Leave it out."),
    # Transfers between engines, and which of them works: a client could make one fetch from an address of its choice.
    **dict.fromkeys(
        ("kv_transfer_params", "ec_transfer_params", "bootstrap_host", "bootstrap_port", "bootstrap_room"),
        Refused(_MACHINERY),
    ),
    **dict.fromkeys(("data_parallel_rank", "vllm_xargs", "extra_args"), Refused(_MACHINERY)),
    # Large intervals make a healthy replica look as if it hung.
    "stream_interval": Refused("Tokens are sent as they come. Leave it out.", unless=1),
    "request_id": Refused("Send the header x-request-id."),
    # Ways around the messages, which are what is checked and routed.
    **dict.fromkeys(("prompt_token_ids", "prompt_embeds", "input_ids", "input_embeds"), Refused(_TOKENS)),
    **dict.fromkeys(("multi_modal_data", "mm_hashes", "mm_processor_kwargs", "media_io_kwargs"), Refused(_MEDIA)),
    "chat_template": Refused("A template runs on the server, so only the operator's is used. Leave it out."),
    "documents": Refused("The model's template has no place for it. Put the documents into `messages`."),
    "watermarking": Refused("The operator decides on watermarks. Leave it out."),
    # Work without a bound: beams multiply every token, an echo has the odds of the whole prompt computed.
    "use_beam_search": Refused("Beam search is not offered. Ask for several answers with `n`.", unless=False),
    "echo": Refused("Your client has the prompt already. Leave it out.", unless=False),
    **dict.fromkeys(
        (
            "guided_json",
            "guided_regex",
            "guided_choice",
            "guided_grammar",
            "guided_decoding_backend",
            "guided_whitespace_pattern",
        ),
        Refused(_REMOVED),
    ),
    "session_id": Dropped("a label for the engine's cache events, which nobody here reads"),
    **dict.fromkeys(
        ("mm_payload", "return_mm_kwargs", "return_token_offsets"), Dropped("has no effect on a chat completion")
    ),
    "routed_experts_prompt_start": Dropped("a debugging aid for models made of experts"),
    **dict.fromkeys(("n", "best_of"), Bounded(_answers)),
    **dict.fromkeys(("max_tokens", "max_completion_tokens"), Bounded(_tokens)),
    "min_tokens": Bounded(_least_tokens),
    **dict.fromkeys(("top_logprobs", "prompt_logprobs"), Bounded(_odds)),
    "logprobs": Bounded(_logprobs),
    **dict.fromkeys(("stop", "bad_words"), Bounded(_strings)),
    "stop_token_ids": Bounded(_stop_ids),
    **dict.fromkeys(("logit_bias", "allowed_token_ids", "logprob_token_ids"), Bounded(_token_ids)),
    **dict.fromkeys(("response_format", "structured_outputs"), Bounded(_schema)),
    "tools": Bounded(_tools),
    "chat_template_kwargs": Bounded(_switches),
}
"""What is not simply passed on, by name. vLLM 0.32's own other fields (`top_k`, `ignore_eos`, `return_token_ids`,
`truncate_prompt_tokens`, `continue_final_message`, `thinking_token_budget`, ...) do no harm and are not here."""
