"""The servers under contract: where they are, what they promise, and what each has not got and why.

A target without a feature must say why, and that sentence is the reason of the skip: no case can be left out silently.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import pytest

from tests.contract import refusals
from tests.contract.refusals import Fault, Refusal

ALL = ("replica", "nginx", "gateway")
STANDIN_MODEL_LEN = 4096
KEYS = ("SCOUT_KEY", "ONPREM_KEY", "ENGINE_KEY")
ADMIN_KEY = "SCOUT_ADMIN_KEY"
CHOICE = "SCOUT_CONTRACT_TARGETS"
"""Names of targets, comma-separated, when not all three are wanted: for those who work on one of them."""


class Feature(StrEnum):
    """What a case may need from its target."""

    AUTH = "auth"
    COMPLETIONS = "completions"
    PATH_ALLOW_LIST = "path_allow_list"
    BODY_LIMIT = "body_limit"
    FIELD_ERRORS = "field_errors"
    CONTEXT_LENGTH = "context_length"
    REQUEST_ID = "request_id"
    TOOLS = "tools"
    STRUCTURED = "structured"
    ENGINE_FIELDS = "engine_fields"
    ENGINE_COUNTERS = "engine_counters"
    ENGINE_METRICS = "engine_metrics"
    SCOUT = "scout"
    BOUNDS = "bounds"
    ADMIN = "admin"


@dataclass(frozen=True)
class Target:
    """One server.

    `engines` are URLs of the metrics of every engine that may serve its requests: the place to see a request run and
    end. `metrics` are the URLs at which the target itself offers the engine's metrics. `other_keys` open something else
    and must not open this; `admin_key` opens the admin API alone. `own_paths` are answered by the target itself though
    vLLM has paths of that name. `max_model_len` is in tokens.
    """

    name: str
    url: str
    key: str
    model: str
    refusals: Mapping[Fault, Refusal]
    lacks: Mapping[Feature, str] = field(default_factory=dict)
    engines: tuple[str, ...] = ()
    engines_key: str = ""
    metrics: tuple[str, ...] = ()
    other_keys: tuple[str, ...] = ()
    admin_key: str = ""
    own_paths: tuple[str, ...] = ()
    max_model_len: int | None = STANDIN_MODEL_LEN


TARGETS = pytest.StashKey[list[Target]]()
"""Where the report's runner leaves its own list; the suite's default is the local stack."""


class StackMissing(Exception):
    """The environment does not describe a running local stack."""


LACKS: Mapping[str, Mapping[Feature, str]] = {
    "replica": {
        Feature.PATH_ALLOW_LIST: "vLLM itself leaves paths such as /tokenize open, nginx guards them",
        Feature.BODY_LIMIT: "vLLM itself takes bodies of any size, nginx and the gateway bound them",
        Feature.FIELD_ERRORS: "vLLM itself coerces or answers 400, the gateway names the field in a 422",
        Feature.BOUNDS: "vLLM itself takes what a client sends, the gateway bounds or refuses it by a table",
        Feature.SCOUT: "only the gateway has Scout's own endpoints",
        Feature.ADMIN: "only the gateway has an admin API",
    },
    "nginx": {
        Feature.FIELD_ERRORS: "nginx reads no bodies and vLLM answers 400, the gateway names the field in a 422",
        Feature.BOUNDS: "nginx reads no bodies, the gateway bounds or refuses by a table what a client sends",
        Feature.SCOUT: "only the gateway has Scout's own endpoints",
        Feature.ADMIN: "only the gateway has an admin API",
    },
    "gateway": {
        Feature.COMPLETIONS: "the gateway speaks chat completions only",
        Feature.ENGINE_METRICS: "the gateway's /metrics are its own, the engine's are scraped through nginx",
    },
}
REFUSALS: Mapping[str, Mapping[Fault, Refusal]] = {
    "replica": refusals.VLLM,
    "nginx": refusals.NGINX,
    "gateway": refusals.GATEWAY,
}
OWN_PATHS: Mapping[str, tuple[str, ...]] = {"gateway": ("/readyz",)}


def of_local_stack(env: Mapping[str, str]) -> list[Target]:
    """The targets of `.scout/env`. Raises StackMissing with the variables that are not set."""
    wanted = [name.strip() for name in env.get(CHOICE, ",".join(ALL)).split(",")]
    if unknown := set(wanted) - set(ALL):
        raise StackMissing(f"{CHOICE} names {', '.join(sorted(unknown))}; there are only {', '.join(ALL)}")
    needed = {"ENGINE_URLS", "ENGINE_KEY", "SCOUT_MODEL"}
    needed |= {"ONPREM_URL", "ONPREM_KEY", "REPLICA_URLS"} if "nginx" in wanted else set()
    needed |= {"SCOUT_URL", "SCOUT_KEY"} if "gateway" in wanted else set()
    if missing := sorted(name for name in needed if not env.get(name)):
        raise StackMissing(
            "the contract suite runs against the local stack, and the environment does not name it "
            f"(missing: {', '.join(missing)}). Run `./scout test contract`"
        )
    return [_of_stack(name, env) for name in wanted]


def _of_stack(name: str, env: Mapping[str, str]) -> Target:
    engines = _urls(env["ENGINE_URLS"])
    url_and_key = {
        "replica": (engines[0], "ENGINE_KEY"),
        "nginx": (env.get("ONPREM_URL", ""), "ONPREM_KEY"),
        "gateway": (env.get("SCOUT_URL", ""), "SCOUT_KEY"),
    }
    metrics = {"replica": engines[:1], "nginx": _urls(env.get("REPLICA_URLS", "")), "gateway": []}
    url, own = url_and_key[name]
    admin_key = env.get(ADMIN_KEY, "") if name == "gateway" else ""
    unadministered = {Feature.ADMIN: f"the environment names no {ADMIN_KEY}"}
    return Target(
        name=name,
        url=url.rstrip("/"),
        key=env[own],
        model=env["SCOUT_MODEL"],
        refusals=REFUSALS[name],
        lacks=LACKS[name] if admin_key else {**unadministered, **LACKS[name]},
        own_paths=OWN_PATHS.get(name, ()),
        engines=tuple(f"{engine}/metrics" for engine in engines),
        metrics=tuple(f"{replica}/metrics" for replica in metrics[name]),
        other_keys=tuple(env[key] for key in (*KEYS, ADMIN_KEY) if key != own and env.get(key)),
        admin_key=admin_key,
    )


def _urls(listed: str) -> list[str]:
    return [url.strip().rstrip("/") for url in listed.split(",") if url.strip()]
