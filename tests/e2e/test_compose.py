"""The two compose files run for real: the whole way from a client of the gateway to a replica and back.

The images of vLLM, nginx and Tailscale are stand-ins (tests/support/docker/), because a test machine has no GPU, no
tailnet and perhaps no registry; the gateway's image is built as it is in production. Everything else is what is
deployed: our launcher in the replicas' containers, nginx's files, networks, rights, secrets and health checks.

Needs a Docker engine that takes GPU reservations: `eval "$(tests/support/docker/engine.sh start DIR)"`.
"""

import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.compose import BINARY, ROOT, example_env, read_env

DOCKER = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"
GATEWAY_KEY, ADMIN_KEY, ONPREM_KEY, ENGINE_KEY = (
    f"sk-{name}-{secrets.token_hex(12)}" for name in ("client", "admin", "onprem", "engine")
)
TS_KEY = "tskey-auth-test"
REPLICAS = ["replica-0", "replica-1", "replica-2"]
pytestmark = pytest.mark.timeout(600)


def docker(*arguments: str) -> str:
    done = subprocess.run([DOCKER, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Deployment:
    """One compose file with its test override, under a project name of its own."""

    def __init__(self, side: str, keys: Path, **values: str) -> None:
        self.project = f"scout-test-{side}"
        self._files = ["-f", f"docker-compose.{side}.yml", "-f", f"tests/support/docker/{side}.yml"]
        images = {f"{name.upper()}_IMAGE": f"scout-test/{name}" for name in ("vllm", "nginx", "tailscale", "gateway")}
        own = {"SCOUT_KEYS_DIR": str(keys), "SCOUT_UID": "10001", "SCOUT_GID": "10001", **images, **values}
        self._env_file = keys / f"{side}.env"
        self._env_file.write_text("".join(f"{k}={v}\n" for k, v in {**read_env(example_env(side)), **own}.items()))

    def __call__(self, *arguments: str) -> str:
        command = [str(BINARY), "-p", self.project, *self._files, "--env-file", str(self._env_file), *arguments]
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}\n{self._logs(environment)}"
        return done.stdout

    def _logs(self, environment: dict[str, str]) -> str:
        command = [str(BINARY), "-p", self.project, *self._files, "--env-file", str(self._env_file)]
        logs = [*command, "logs", "--no-color", "--tail", "15"]
        return subprocess.run(logs, cwd=ROOT, env=environment, capture_output=True, text=True, check=False).stdout

    def inspect(self, service: str) -> dict[str, Any]:
        return dict(json.loads(docker("inspect", self("ps", "-q", service).strip()))[0])

    def run(self, service: str, *command: str) -> str:
        return self("exec", "-T", service, *command)


@pytest.fixture(scope="module")
def engine() -> None:
    if subprocess.run([DOCKER, "version"], capture_output=True, check=False).returncode:
        pytest.skip("no Docker engine is reachable: see tests/support/docker/engine.sh")
    if os.geteuid() != 0:
        pytest.skip("the key files of the test get an owner of their own, which only root can give")


@pytest.fixture(scope="module")
def keys(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The key files as the examples describe them: of the account 10001, closed to others."""
    folder = tmp_path_factory.mktemp("keys")
    files = {
        "engine-key": ENGINE_KEY,
        "client-keys": f"gateway {ONPREM_KEY}",
        "api-keys": GATEWAY_KEY,
        "admin-keys": ADMIN_KEY,
        "onprem-key": ONPREM_KEY,
        "ts-authkey": TS_KEY,
    }
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")
        (folder / name).chmod(0o640)
        os.chown(folder / name, 10001, 10001)
    os.chown(folder, 10001, 10001)
    folder.chmod(0o750)
    return folder


@pytest.fixture(scope="module")
def onprem(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    models = tmp_path_factory.mktemp("models")
    folder = models / "llama-3.3-70b-instruct-awq"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    for path in (models, folder):
        path.chmod(0o755)
    stack = Deployment("onprem", keys, SCOUT_MODELS_DIR=str(models))
    try:
        stack("--profile", "*", "build", "--quiet")
        stack("run", "--rm", "nginx-keys")
        stack("up", "--detach", "--wait", "--wait-timeout", "180")
        yield stack
    finally:
        stack("down", "--volumes", "--timeout", "5")


@pytest.fixture(scope="module")
def cloud(onprem: Deployment, keys: Path) -> Iterator[Deployment]:
    urls = ",".join(f"http://cluster:{port}" for port in (8081, 8082, 8083))
    network = f"{onprem.project}_uplink"
    own = {"SCOUT_REPLICA_URLS": urls, "SCOUT_PORT": "0", "TS_PORT": "0", "TEST_CLUSTER_NETWORK": network}
    stack = Deployment("cloud", keys, **own)
    try:
        stack("build", "--quiet")
        stack("up", "--detach", "--wait", "--wait-timeout", "120")
        yield stack
    finally:
        stack("down", "--volumes", "--timeout", "5")


@pytest.fixture(scope="module")
def client(cloud: Deployment) -> Iterator[httpx.Client]:
    address = cloud("port", "tailscale", "8000").strip()
    assert address.startswith("127.0.0.1:"), "published beyond loopback"
    with httpx.Client(base_url=f"http://{address}", headers={"Authorization": f"Bearer {GATEWAY_KEY}"}) as http:
        yield http


def until(look: Callable[[], bool], what: str, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.2)


def ask_nginx(onprem: Deployment, port: int, path: str, key: str = ONPREM_KEY) -> tuple[int, dict[str, Any]]:
    """One GET to nginx from inside its network; the status and the JSON body."""
    url = f"http://127.0.0.1:{port}{path}"
    header = f"Authorization: Bearer {key}"
    answer = onprem.run("nginx", "curl", "-s", "-H", header, "-w", "\n%{http_code}", url)
    body, _, status = answer.rpartition("\n")
    return int(status), json.loads(body) if body else {}


@pytest.mark.parametrize(("port", "name"), [(8081, "replica-0"), (8082, "replica-1"), (8083, "replica-2")])
def test_each_port_of_nginx_leads_to_its_replica_with_its_own_gpu(onprem: Deployment, port: int, name: str) -> None:
    status, body = ask_nginx(onprem, port, "/v1/models")
    gpus = read_env(example_env("onprem"))[f"REPLICA_{name[-1]}_GPUS"]
    assert (status, body["data"][0]["id"], body["gpus"]) == (200, "llama-70b-scout", gpus)
    assert body["replica"] == onprem.inspect(name)["Config"]["Hostname"]


def test_nginx_refuses_a_wrong_key_and_a_path_that_is_not_listed(onprem: Deployment) -> None:
    status, body = ask_nginx(onprem, 8080, "/v1/models", key="sk-wrong-0123456789")
    assert (status, body["error"]["code"]) == (401, "invalid_api_key")
    assert ask_nginx(onprem, 8080, "/tokenize")[0] == 404


def test_nginx_writes_its_access_log_to_the_containers_log(onprem: Deployment) -> None:
    ask_nginx(onprem, 8080, "/v1/models")
    lines = onprem("logs", "--no-log-prefix", "--no-color", "nginx").splitlines()
    served = [json.loads(line) for line in lines if line.startswith("{")]
    assert ("gateway", "/v1/models", 200) in {(line["key"], line["path"], line["status"]) for line in served}


def test_an_engine_reaches_no_other_network(onprem: Deployment) -> None:
    # The sidecar's address on the network with a way out: beyond the host, as everything outside is.
    networks = onprem.inspect("tailscale")["NetworkSettings"]["Networks"]
    address = (networks[f"{onprem.project}_uplink"]["IPAddress"], 8080)
    socket.create_connection(address, timeout=3).close()
    attempt = f"import socket; s = socket.socket(); s.settimeout(3); print(s.connect_ex({address!r}))"
    for name in REPLICAS:
        assert int(onprem.run(name, "python3", "-c", attempt)) != 0


def test_rights_are_gone_where_the_file_says_so(onprem: Deployment, cloud: Deployment) -> None:
    for stack, service in [(onprem, "nginx"), (cloud, "gateway"), *((onprem, name) for name in REPLICAS)]:
        lines = stack.run(service, "cat", "/proc/1/status").splitlines()
        status = dict(line.split(":\t", 1) for line in lines)
        assert int(status["CapEff"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        assert "0" not in status["Uid"].split()
    for stack, service in [(onprem, "nginx"), (cloud, "gateway")]:
        assert stack.inspect(service)["HostConfig"]["ReadonlyRootfs"] is True


def test_no_key_is_in_a_containers_description(onprem: Deployment, cloud: Deployment) -> None:
    for stack, services in [(onprem, [*REPLICAS, "nginx", "tailscale"]), (cloud, ["gateway", "tailscale"])]:
        described = json.dumps([stack.inspect(service) for service in services])
        assert not any(key in described for key in (GATEWAY_KEY, ADMIN_KEY, ONPREM_KEY, ENGINE_KEY, TS_KEY))


def test_a_chat_streams_from_the_gateway_through_nginx_from_a_replica(client: httpx.Client) -> None:
    until(lambda: client.get("/readyz").status_code == 200, "a replica is ready", within_s=20)
    request = {"model": "llama-70b-scout", "messages": [{"role": "user", "content": "SUVs?"}], "stream": True}
    with client.stream("POST", "/v1/chat/completions", json=request) as answer:
        assert answer.status_code == 200
        events = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert events[-1] == "[DONE]"
    deltas = [choice["delta"] for event in events[:-1] for choice in json.loads(event)["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == "We have two SUVs."


def test_a_new_key_at_nginx_takes_a_reload_and_no_restart(onprem: Deployment, keys: Path) -> None:
    engines = [onprem.inspect(name)["State"]["StartedAt"] for name in REPLICAS]
    new = "sk-onprem-rotated-0123456789"
    assert ask_nginx(onprem, 8080, "/v1/models", key=new)[0] == 401
    with (keys / "client-keys").open("a") as file:
        file.write(f"gateway {new}\n")
    onprem("run", "--rm", "nginx-keys")
    onprem("kill", "--signal", "HUP", "nginx")
    # A reload is done when the new workers run: the old ones answer until then.
    retry = ["--retry", "20", "--retry-all-errors", "--retry-delay", "1", "--fail", "-s", "-o", "/dev/null"]
    onprem.run("nginx", "curl", *retry, "-H", f"Authorization: Bearer {new}", "http://127.0.0.1:8080/v1/models")
    assert ask_nginx(onprem, 8080, "/v1/models")[0] == 200, "the old key is still valid"
    assert [onprem.inspect(name)["State"]["StartedAt"] for name in REPLICAS] == engines


def test_a_drained_replica_gets_nothing_from_the_balanced_port_and_comes_back(onprem: Deployment) -> None:
    drain = ("run", "--rm", "-T", "drain", "--replica", "1", "--no-gateway")
    told = onprem(*drain)
    assert "marked down on the balanced port; reloaded" in told
    assert "replica-1 is drained after" in told
    drained = onprem.inspect("replica-1")["Config"]["Hostname"]
    assert drained not in {ask_nginx(onprem, 8080, "/v1/models")[1]["replica"] for _ in range(6)}
    assert ask_nginx(onprem, 8082, "/v1/models")[0] == 200
    onprem(*drain, "--undo")
    until(lambda: ask_nginx(onprem, 8080, "/v1/models")[1]["replica"] == drained, "it is asked again", within_s=20)


def test_a_replica_drained_at_the_gateway_gets_nothing_from_it(onprem: Deployment, client: httpx.Client) -> None:
    administration = {"Authorization": f"Bearer {ADMIN_KEY}"}
    path = "/admin/replicas/replica-1/drain"
    assert client.put(path).status_code == 401, "a client's key does not open it"
    assert client.put(path, headers=administration).json()["state"] == "draining"
    request = {"model": "llama-70b-scout", "messages": [{"role": "user", "content": "SUVs?"}]}
    answers = [client.post("/v1/chat/completions", json=request) for _ in range(6)]
    assert {answer.headers["x-scout-replica"] for answer in answers} <= {"replica-0", "replica-2"}
    assert client.delete(path, headers=administration).json()["draining"] is False


def test_a_dead_replica_is_not_noticed_by_a_client(onprem: Deployment, client: httpx.Client) -> None:
    onprem("stop", "--timeout", "1", "replica-1")
    request = {"model": "llama-70b-scout", "messages": [{"role": "user", "content": "SUVs?"}], "stream": True}
    answers = [client.post("/v1/chat/completions", json=request) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 6
    assert all(answer.text.endswith("data: [DONE]\n\n") for answer in answers)


def test_nginx_starts_while_a_replica_is_missing(onprem: Deployment) -> None:
    onprem("stop", "--timeout", "1", "replica-1")
    onprem("restart", "nginx")
    onprem("up", "--detach", "--wait", "--wait-timeout", "60", "nginx")
    assert ask_nginx(onprem, 8081, "/v1/models")[0] == 200
    # Nobody has the address: the network's "no such host" (502) and nginx's own time-out (504) both come after 3 s.
    status, body = ask_nginx(onprem, 8082, "/v1/models")
    assert (status, body["error"]["code"]) in {(502, "upstream_unavailable"), (504, "upstream_timeout")}


def test_nginx_is_restarted_with_the_sidecar_whose_network_it_lives_in(onprem: Deployment) -> None:
    before = onprem.inspect("nginx")["State"]["StartedAt"]
    onprem("restart", "tailscale")
    onprem("up", "--detach", "--wait", "--wait-timeout", "60", "nginx")
    assert onprem.inspect("nginx")["State"]["StartedAt"] != before
    assert ask_nginx(onprem, 8081, "/v1/models")[0] == 200
