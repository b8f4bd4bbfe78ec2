"""The gateways under test, each as its makers ship it: what is installed, how it is configured, what it checks.

All get the same three replicas, one worker and the least logging that is still a way to run it. Versions are pinned:
a result belongs to a version.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.engine_script import MODEL
from tests.bench.gateway_load import Target
from tests.bench.peers.environments import npm, python_version_of, venv
from tests.bench.peers.running import Command, free_port

KEY = "sk-bench-0123456789abcdef"
ENGINE_KEY = "sk-bench-engine-0123456789"
ROOT = Path(__file__).resolve().parents[3]
_BEARER = ("authorization", f"Bearer {KEY}")

SMG = "smg==1.13.0"
VLLM_ROUTER = "vllm-router==0.1.17"
# The newest whose [proxy] extra can be resolved; 1.109 and 1.110 need companions that are not published.
LITELLM = "litellm[proxy]==1.108.7"
PORTKEY = "@portkey-ai/gateway@1.15.2"


@dataclass(frozen=True)
class Place:
    """Where things lie, and what is measured as ours."""

    folder: Path
    checkout: Path = ROOT
    scout_config: Path | None = None


@dataclass(frozen=True)
class Contender:
    """A row of the report. `prepare` installs it and gives its version and the way to start it on three replicas."""

    name: str
    notes: str
    prepare: Callable[[Place, list[int]], tuple[str, Command]]
    most_rounds: int = 1000
    """One that is slow by orders of magnitude need not take its long turn in every round."""


def _urls(ports: list[int]) -> list[str]:
    return [f"http://127.0.0.1:{port}" for port in ports]


SCOUT_TOML = """\
[on_prem]
first_content_timeout_s = 600.0
idle_timeout_s = 900.0
total_timeout_s = 1800.0
max_connections_per_replica = 2000

[admission]
max_concurrent_per_replica = 1000
max_queued = 5000
max_wait_s = 600.0
"""


def _ours(place: Place, replicas: list[int]) -> tuple[str, Command]:
    python = venv(place.folder / "scout", "--require-hashes", "-r", str(place.checkout / "requirements/gateway.txt"))
    config = place.scout_config or place.folder / "scout.toml"
    if place.scout_config is None:
        config.write_text(SCOUT_TOML)
    port = free_port()
    env = {
        "SCOUT_CONFIG": str(config),
        "SCOUT_PORT": str(port),
        "SCOUT_REPLICA_URLS": ",".join(_urls(replicas)),
        "SCOUT_API_KEYS": KEY,
        "SCOUT_ONPREM_KEY": ENGINE_KEY,
    }
    argv = (str(python / "python"), "-m", "gateway", "serve")
    return "this commit", Command(argv, Target(port, headers=(_BEARER,)), "/readyz", env, place.checkout)


def _smg(place: Place, replicas: list[int]) -> tuple[str, Command]:
    binaries = venv(place.folder / "smg", SMG)
    port = free_port()
    argv = [str(binaries / "smg"), "launch", "--host", "127.0.0.1", "--port", str(port), "--backend", "vllm"]
    argv += ["--worker-urls", *_urls(replicas), "--api-key", KEY, "--disable-tokenizer-autoload"]
    argv += ["--prometheus-host", "127.0.0.1", "--prometheus-port", str(free_port()), "--log-level", "error"]
    return python_version_of(binaries, "smg"), Command(tuple(argv), Target(port, headers=(_BEARER,)), "/readiness")


def _vllm_router(policy: str) -> Callable[[Place, list[int]], tuple[str, Command]]:
    def prepare(place: Place, replicas: list[int]) -> tuple[str, Command]:
        binaries = venv(place.folder / "vllm-router", VLLM_ROUTER)
        port = free_port()
        argv = [str(binaries / "vllm-router"), "--host", "127.0.0.1", "--port", str(port), "--policy", policy]
        argv += ["--worker-urls", *_urls(replicas), "--worker-startup-check-interval", "1", "--log-level", "error"]
        argv += ["--prometheus-host", "127.0.0.1", "--prometheus-port", str(free_port())]
        version = python_version_of(binaries, "vllm-router")
        return version, Command(tuple(argv), Target(port, headers=(_BEARER,)), "/readiness")

    return prepare


def _litellm(place: Place, replicas: list[int]) -> tuple[str, Command]:
    binaries = venv(place.folder / "litellm", LITELLM)
    config = place.folder / "litellm.json"
    deployments = [
        {
            "model_name": MODEL,
            "litellm_params": {"model": f"hosted_vllm/{MODEL}", "api_base": f"{url}/v1", "api_key": ENGINE_KEY},
        }
        for url in _urls(replicas)
    ]
    settings = {"model_list": deployments, "general_settings": {"master_key": KEY}}
    config.write_text(json.dumps(settings))  # JSON is YAML
    port = free_port()
    argv = (str(binaries / "litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port))
    env = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
    command = Command((*argv, "--num_workers", "1", "--telemetry", "False"), Target(port, headers=(_BEARER,)))
    version = python_version_of(binaries, "litellm")
    return version, Command(command.argv, command.target, "/health/readiness", env, place.folder)


# It listens on all interfaces and has no setting for that; a bench must not be reachable from outside.
_LOOPBACK_ONLY = """\
const net = require("node:net");
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...given) {
  if (typeof given[0] === "number") given = [{ port: given[0], host: "127.0.0.1" }, ...given.slice(2)];
  else if (given[0] && given[0].port !== undefined) given[0] = { ...given[0], host: "127.0.0.1" };
  return listen.apply(this, given);
};
"""


def _portkey(place: Place, replicas: list[int]) -> tuple[str, Command]:
    binaries = npm(place.folder / "portkey", PORTKEY)
    hook = place.folder / "loopback.cjs"
    hook.write_text(_LOOPBACK_ONLY)
    targets = [{"provider": "openai", "api_key": ENGINE_KEY, "custom_host": f"{url}/v1"} for url in _urls(replicas)]
    config = {"strategy": {"mode": "loadbalance"}, "targets": targets}
    port = free_port()
    headers = (("x-portkey-config", json.dumps(config, separators=(",", ":"))), _BEARER)
    package = place.folder / "portkey/node_modules/@portkey-ai/gateway"
    argv = ("node", "--require", str(hook), str(package / "build/start-server.js"), f"--port={port}", "--headless")
    version = json.loads((package / "package.json").read_text())["version"]
    assert binaries.exists()
    return str(version), Command(argv, Target(port, headers=headers), "/", {"NODE_ENV": "production"})


CONTENDERS = (
    Contender("ours", "admission, health, affinity, token ids, metrics, one log line a request", _ours),
    Contender("smg", "Rust; its default policy (cache_aware), logs errors", _smg),
    Contender("vllm-router", "Rust; its default policy (cache_aware); logs errors", _vllm_router("cache_aware")),
    Contender("vllm-router/p2c", "Rust; policy power_of_two; logs errors", _vllm_router("power_of_two")),
    Contender("litellm", "Python; proxy with a master key, three deployments; access log as it comes", _litellm, 1),
    Contender("portkey", "Node.js; three targets by weight in the request's config; no log", _portkey),
)
"""In the order of the report; direct access is not here, it needs no process."""
