"""Getting to know a server that is not of the local stack: can it be reached, which model, what can it do.

Features are granted only on evidence; what a server need not have to be called OpenAI-compatible is a named skip.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.contract import refusals
from tests.contract.targets import LACKS, OWN_PATHS, REFUSALS, Feature, Target
from tests.contract.wire import CHAT, MODELS

NOT_COMMON = {
    Feature.COMPLETIONS: "plain completions are an older endpoint that a server need not have",
    Feature.PATH_ALLOW_LIST: "an allow-list of paths is the promise of Scout's nginx and gateway (--as nginx)",
    Feature.BODY_LIMIT: "how large a body may be is the server's own choice (--as nginx or gateway)",
    Feature.FIELD_ERRORS: "a 422 that names the field is the promise of Scout's gateway (--as gateway)",
    Feature.REQUEST_ID: "an OpenAI-compatible server need not take over x-request-id (--as one of Scout's layers)",
    Feature.BOUNDS: "which fields a client may set, and how far, is the server's own choice (--as gateway)",
    Feature.SCOUT: "Scout's own endpoints are only at its gateway (--as gateway)",
}


class CannotTest(Exception):
    """The server cannot be tested at all; the message is one sentence for the operator."""


@dataclass(frozen=True)
class Address:
    """What the operator gave. `metrics` are URLs of the engines' metrics; `kind` a layer of Scout, or "any"."""

    url: str
    key: str
    model: str | None = None
    kind: str = "any"
    metrics: tuple[str, ...] = ()

    @property
    def base(self) -> str:
        """The URL without the `/v1` that OpenAI's clients want."""
        return self.url.rstrip("/").removesuffix("/v1")


def explore(address: Address) -> Target:
    """The server as a target. Raises CannotTest."""
    headers = {"authorization": f"Bearer {address.key}"} if address.key else {}
    try:
        with httpx.Client(base_url=address.base, headers=headers, timeout=60) as http:
            listed = _models(http, address)
            model = address.model or _first(listed, address)
            _refuse_unless_it_answers(http, address, model)
            entry: Mapping[str, Any] = next((entry for entry in listed if entry.get("id") == model), {})
            return _target(http, address, model, entry)
    except httpx.InvalidURL as error:
        raise CannotTest(f"{address.url} is no URL: {error}.") from error
    except httpx.UnsupportedProtocol as error:
        raise CannotTest(f"{address.url} is no URL: it must begin with http:// or https://.") from error
    except httpx.TransportError as error:
        raise CannotTest(f"{address.url} cannot be reached: {error or type(error).__name__}.") from error


def _models(http: httpx.Client, address: Address) -> list[dict[str, Any]]:
    response = http.get(MODELS)
    if response.status_code in (401, 403):
        given = "the key" if address.key else "a request without a key (--key)"
        raise CannotTest(f"{address.url} refuses {given}: GET {MODELS} answered {response.status_code}.")
    try:
        listed = response.raise_for_status().json()["data"]
        return [dict(entry) for entry in listed]
    except (httpx.HTTPStatusError, ValueError, KeyError, TypeError) as error:
        answered = f"GET {MODELS} answered {response.status_code} and no list of models"
        raise CannotTest(f"{address.url} is no OpenAI-compatible server: {answered}.") from error


def _first(listed: list[dict[str, Any]], address: Address) -> str:
    if not listed:
        raise CannotTest(f"{address.url} lists no models: name one with --model.")
    return str(listed[0]["id"])


def _ask(http: httpx.Client, model: str, **fields: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, **fields}
    return http.post(CHAT, json=body)


def _refuse_unless_it_answers(http: httpx.Client, address: Address, model: str) -> None:
    response = _ask(http, model)
    if response.status_code in (401, 403):
        raise CannotTest(f"{address.url} refuses the key: POST {CHAT} answered {response.status_code}.")
    if response.status_code != 200:
        raise CannotTest(f"{address.url} does not answer for model {model}: {_said(response)}.")


def _said(response: httpx.Response) -> str:
    return f"{response.status_code} {' '.join(response.text.split())[:200]}".strip()


def _target(http: httpx.Client, address: Address, model: str, entry: Mapping[str, Any]) -> Target:
    length = entry.get("max_model_len")
    lacks = {**_lacks_for_want_of_knowledge(address, entry), **_lacks_by_refusal(http, model)}
    if address.kind == "any":
        name, promised, lacks = "server", refusals.ANY_SERVER, {**NOT_COMMON, **lacks}
    else:
        name, promised, lacks = address.kind, REFUSALS[address.kind], {**lacks, **LACKS[address.kind]}
    return Target(
        name=name,
        url=address.base,
        key=address.key,
        model=model,
        refusals=promised,
        lacks=lacks,
        engines=address.metrics,
        engines_key=address.key,
        metrics=address.metrics,
        own_paths=OWN_PATHS.get(name, ()),
        max_model_len=length if isinstance(length, int) else None,
    )


def _lacks_for_want_of_knowledge(address: Address, entry: Mapping[str, Any]) -> dict[Feature, str]:
    lacks: dict[Feature, str] = {Feature.ADMIN: "an admin key is not given to a suite that tests what clients can do"}
    if not address.key:
        lacks[Feature.AUTH] = "no key was given, so none can be wrong"
    if not address.metrics:
        unseen = "the engine's counters are out of sight: name its metrics with --metrics URL, on an idle server"
        lacks[Feature.ENGINE_COUNTERS] = lacks[Feature.ENGINE_METRICS] = unseen
    if not isinstance(entry.get("max_model_len"), int):
        lacks[Feature.CONTEXT_LENGTH] = "the list of models does not tell the context length (max_model_len)"
    if address.kind == "any" and entry.get("owned_by") != "vllm":
        lacks[Feature.ENGINE_FIELDS] = "the server does not say that it is vLLM (owned_by), whose own fields these are"
    return lacks


def _lacks_by_refusal(http: httpx.Client, model: str) -> dict[Feature, str]:
    """What the server says it cannot do, in its own words."""
    function = {"name": "nothing", "parameters": {"type": "object", "properties": {}}}
    schema = {"name": "yes", "schema": {"type": "string", "enum": ["yes"]}}
    wishes: dict[Feature, dict[str, Any]] = {
        Feature.TOOLS: {"tools": [{"type": "function", "function": function}]},
        Feature.STRUCTURED: {"response_format": {"type": "json_schema", "json_schema": schema}, "max_tokens": 8},
    }
    tried = {feature: _ask(http, model, **wish) for feature, wish in wishes.items()}
    return {
        feature: f"the server refuses a request that asks for it: {_said(answer)}"
        for feature, answer in tried.items()
        if 400 <= answer.status_code < 500
    }
