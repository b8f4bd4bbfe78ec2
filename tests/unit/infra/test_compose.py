"""The two compose files: closed to the outside, and the same programs with the same settings as the local stack."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import crossplane
import pytest

from gateway import configuration
from gateway.settings import Settings
from inference import __main__ as inference
from inference import site
from inference.marks import MARKS_DIR, RUNTIME_DIR, SERVERS_FILE, parse_servers
from inference.profile import load_profile, profile_names
from infra.local.plan import MARKER, Service, nginx_site, plan
from infra.local.settings import StackSettings
from infra.tailscale.check import ALLOWED
from infra.tailscale.policy import parse
from tests.support.compose import ROOT, example_env, load, read_env

SIDES = ["onprem", "cloud"]
REPLICAS = ["replica-0", "replica-1", "replica-2"]
EVERY_SERVICE = [("onprem", name) for name in [*REPLICAS, "tailscale", "nginx"]]
EVERY_SERVICE += [("cloud", name) for name in ["tailscale", "gateway"]]


@pytest.fixture(scope="module")
def stacks() -> dict[str, Any]:
    return {side: load(side, example_env(side)) for side in SIDES}


def seconds(duration: str) -> int:
    minutes, rest = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", duration).groups()  # type: ignore[union-attr]
    return 60 * int(minutes or 0) + int(rest or 0)


@pytest.mark.parametrize(("side", "name"), EVERY_SERVICE)
def test_every_service_is_watched_restarted_and_stripped_of_rights(stacks: Any, side: str, name: str) -> None:
    service = stacks[side]["services"][name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_ADMIN", "NET_RAW"] if name == "tailscale" else [])
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}
    assert not service.get("privileged")
    assert re.fullmatch(r"[a-z/-]+:[\w.-]*[\d.]+[\w.-]*|scout-gateway:local", service["image"]), "no version"


@pytest.mark.parametrize("side", SIDES)
def test_nothing_but_the_two_sidecars_and_the_engines_is_listed(stacks: Any, side: str) -> None:
    assert set(stacks[side]["services"]) == {name for where, name in EVERY_SERVICE if where == side}


def test_the_on_prem_side_publishes_no_port_and_the_cloud_only_wireguard_beyond_loopback(stacks: Any) -> None:
    assert [name for name, service in stacks["onprem"]["services"].items() if service.get("ports")] == []
    published = {
        (port.get("host_ip", "0.0.0.0"), port["target"], port["protocol"])
        for service in stacks["cloud"]["services"].values()
        for port in service.get("ports", [])
    }
    assert published == {("127.0.0.1", 8000, "tcp"), ("0.0.0.0", 41641, "udp")}


@pytest.mark.parametrize("name", REPLICAS)
def test_an_engine_is_only_on_a_network_without_a_way_out(stacks: Any, name: str) -> None:
    stack = stacks["onprem"]
    assert set(stack["services"][name]["networks"]) == {"engine"}
    assert stack["networks"]["engine"]["internal"] is True
    assert "network_mode" not in stack["services"][name]


@pytest.mark.parametrize(("side", "name"), [("onprem", "nginx"), ("cloud", "gateway")])
def test_what_faces_the_tailnet_is_unprivileged_read_only_and_shares_the_sidecars_fate(
    stacks: Any, side: str, name: str
) -> None:
    service = stacks[side]["services"][name]
    assert service["read_only"] is True
    assert int(service["deploy"]["resources"]["limits"]["memory"]) == 2 * 1024**3
    assert service["network_mode"] == "service:tailscale"
    assert service["depends_on"]["tailscale"] == {"condition": "service_healthy", "restart": True, "required": True}


def test_the_two_sidecars_differ_only_in_name_tag_and_what_they_connect(stacks: Any) -> None:
    own = {"hostname", "ports", "networks", "extra_hosts", "volumes", "secrets", "environment"}
    one, other = (stacks[side]["services"]["tailscale"] for side in SIDES)
    assert {k: v for k, v in one.items() if k not in own} == {k: v for k, v in other.items() if k not in own}
    differing = {k for k in one["environment"] if one["environment"][k] != other["environment"].get(k)}
    assert differing == {"TS_HOSTNAME", "TS_EXTRA_ARGS"}


@pytest.mark.parametrize(("side", "tag"), [("onprem", "tag:scout-cluster"), ("cloud", "tag:scout-gateway")])
def test_each_side_asks_for_its_tag_of_the_policy(stacks: Any, side: str, tag: str) -> None:
    policy = parse((ROOT / "infra/tailscale/policy.hujson").read_text("utf-8"))
    assert tag in policy.tag_owners
    assert stacks[side]["services"]["tailscale"]["environment"]["TS_EXTRA_ARGS"] == f"--advertise-tags={tag}"


@pytest.mark.parametrize("side", SIDES)
def test_no_secret_is_a_value_of_the_environment(stacks: Any, side: str) -> None:
    for service in stacks[side]["services"].values():
        for name, value in service["environment"].items() if "environment" in service else ():
            if re.search(r"KEY|SECRET|TOKEN", name):
                assert re.fullmatch(r"(file:)?/run/secrets/\w+", value), f"{name}={value}"


def test_each_replica_has_the_gpus_of_its_own_variable(tmp_path: Path) -> None:
    values = read_env(example_env("onprem")) | {"REPLICA_1_GPUS": "GPU-a,GPU-b"}
    env_file = tmp_path / "env"
    env_file.write_text("\n".join(f"{name}={value}" for name, value in values.items()), "utf-8")
    services = load("onprem", env_file)["services"]
    for index, name in enumerate(REPLICAS):
        (device,) = services[name]["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "capabilities": ["gpu"], "device_ids": [values[f"REPLICA_{index}_GPUS"]]}


@pytest.mark.parametrize("name", REPLICAS)
def test_each_replica_keeps_its_caches_in_a_volume_of_its_own_and_cannot_write_weights(stacks: Any, name: str) -> None:
    mounts = {mount["target"]: mount for mount in stacks["onprem"]["services"][name]["volumes"]}
    assert mounts["/home/vllm"] == {"type": "volume", "source": f"{name}-home", "target": "/home/vllm", "volume": {}}
    assert mounts["/models"]["read_only"] and mounts["/opt/scout/inference"]["read_only"]
    assert f"{name}-home" in stacks["onprem"]["volumes"]


@pytest.mark.parametrize("profile", [name for name in profile_names() if load_profile(name).device == "cuda"])
def test_a_stopped_engine_has_time_for_the_answers_under_way(stacks: Any, profile: str) -> None:
    drain = load_profile(profile).engine.shutdown_timeout_s
    for name in [*REPLICAS, "nginx"]:
        assert seconds(stacks["onprem"]["services"][name]["stop_grace_period"]) > drain


def test_the_replicas_addresses_are_the_ones_that_nginx_looks_up(stacks: Any) -> None:
    services = stacks["onprem"]["services"]
    hosts = dict(entry.split("=") for entry in services["tailscale"]["extra_hosts"])
    assert hosts == {name: services[name]["networks"]["engine"]["ipv4_address"] for name in REPLICAS}


def test_the_gateway_asks_for_the_ports_that_the_policy_opens(stacks: Any) -> None:
    urls = stacks["cloud"]["services"]["gateway"]["environment"]["SCOUT_REPLICA_URLS"].split(",")
    ports = {int(url.rpartition(":")[2]) for url in urls}
    assert ports == {8081, 8082, 8083}
    assert ports < ALLOWED["tag:scout-gateway", "tag:scout-cluster"]


# The same as the local stack.


@pytest.fixture(scope="module")
def local() -> dict[str, Service]:
    settings = StackSettings(root=ROOT, state_dir=ROOT / ".scout", engine_python=Path("python3"))
    return {service.name: service for service in plan(settings)}


def options(arguments: Sequence[str]) -> dict[str, list[str]]:
    """`--name value ...` as a table."""
    table: dict[str, list[str]] = {}
    for name, value in zip(arguments[::2], arguments[1::2], strict=True):
        assert name.startswith("-"), f"{name} is no option"
        table.setdefault(name, []).append(value)
    return table


def engine_command(arguments: Sequence[str], capsys: pytest.CaptureFixture[str], profile: str) -> list[str]:
    """What vLLM is started with by `-m inference serve ...`, for a profile of our choice and without its address."""
    assert list(arguments[:3]) == ["-m", "inference", "serve"]
    given = options(arguments[3:]) | {"--profile": [profile]}
    assert inference.main(["command", *(word for name, (value,) in given.items() for word in (name, value))]) == 0
    printed = capsys.readouterr().out.replace(" \\\n  ", "\n").splitlines()
    return [line for line in printed if not line.startswith(("--host ", "--port "))]


@pytest.mark.parametrize("name", REPLICAS)
@pytest.mark.parametrize("profile", profile_names())
def test_a_replica_becomes_the_same_engine_as_in_the_local_stack(
    stacks: Any, local: dict[str, Service], name: str, profile: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    here, there = local[name].argv, stacks["onprem"]["services"][name]["command"]
    monkeypatch.setenv("SCOUT_ENGINE_PYTHON", stacks["onprem"]["services"][name]["environment"]["SCOUT_ENGINE_PYTHON"])
    engine = engine_command(here[1:], capsys, profile)
    assert engine == engine_command(there[1:], capsys, profile)
    assert "--max-num-seqs 10" in engine, "the cluster's figure: ten requests at once"


@pytest.mark.parametrize("name", REPLICAS)
def test_a_replica_serves_a_gpu_profile_where_nginx_and_the_probe_look_for_it(stacks: Any, name: str) -> None:
    service = stacks["onprem"]["services"][name]
    given = options(service["command"][4:])
    assert load_profile(given["--profile"][0]).device == "cuda"
    assert given["--replica"] == [name.removeprefix("replica-")]
    assert given["--host"] == ["0.0.0.0"]
    assert f"http://127.0.0.1:{given['--port'][0]}/health" in service["healthcheck"]["test"][-1]
    assert f"{name}:{given['--port'][0]}" in servers_of_nginx()


def test_every_gpu_profile_finds_its_weights_below_the_mounted_folder() -> None:
    profiles = [load_profile(name) for name in profile_names()]
    assert all(str(profile.model.path).startswith("/models/") for profile in profiles if profile.device == "cuda")


def test_the_replicas_see_the_same_launcher_and_profiles(stacks: Any) -> None:
    for name in REPLICAS:
        service = stacks["onprem"]["services"][name]
        mounts = {mount["target"]: mount["source"] for mount in service["volumes"]}
        assert mounts["/opt/scout/inference"] == str(ROOT / "inference")
        assert service["environment"]["PYTHONPATH"] == "/opt/scout"


@pytest.mark.parametrize("name", REPLICAS)
def test_a_replica_finds_its_key_in_the_secret_and_only_misses_the_weights(
    stacks: Any, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = stacks["onprem"]["services"][name]
    (secret,) = service["secrets"]
    assert service["environment"]["VLLM_API_KEY_FILE"] == secret["target"]
    (tmp_path / "key").write_text("sk-engine-0123456789abcdef\n", "utf-8")
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    monkeypatch.setenv("VLLM_API_KEY_FILE", str(tmp_path / "key"))
    assert inference.main([*service["command"][3:], "--model-dir", str(tmp_path)]) == 2
    assert "has no config.json" in capsys.readouterr().err


def test_nginx_is_the_same_command_with_the_same_files(stacks: Any, local: dict[str, Service]) -> None:
    service = stacks["onprem"]["services"]["nginx"]
    here, there = list(local["nginx"].argv), service["command"]
    here = here[here.index("nginx") :]
    assert [*options(there[1:])] == [*options(here[1:])]
    assert {k: v for k, v in options(there[1:]).items() if k != "-p"} == {
        k: v for k, v in options(here[1:]).items() if k != "-p"
    }
    (prefix,) = options(there[1:])["-p"]
    mounts = {mount["target"].removeprefix(prefix): mount["source"] for mount in service["volumes"]}
    assert set(mounts) == {"nginx.conf", "conf.d", site.SITE_FILE, site.KEYS_DIR, MARKS_DIR}
    assert mounts["nginx.conf"] == str(site.STATIC_FILES / "nginx.conf")
    assert mounts["conf.d"] == str(site.STATIC_FILES / "conf.d")
    assert service["tmpfs"][0].startswith(f"{prefix}{RUNTIME_DIR}:")


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The services that are run by hand: nginx's files, and a drain."""
    env_file = tmp_path_factory.mktemp("tools") / "env"
    env_file.write_text(f"{example_env('onprem').read_text('utf-8')}\nCOMPOSE_PROFILES=*\n", "utf-8")
    return dict(load("onprem", env_file)["services"])


@pytest.fixture
def written(tools: dict[str, Any], tmp_path: Path) -> Path:
    """nginx's part of the keys' folder, as the service nginx-keys writes it."""
    for name in ("client-keys", "engine-key"):
        (tmp_path / name).write_text("sk-0123456789abcdef\n")
    command = [word.replace("/keys/", f"{tmp_path}/") for word in tools["nginx-keys"]["command"]]
    assert inference.main(command[3:]) == 0
    return tmp_path / "nginx"


def test_what_nginx_includes_beside_the_site_is_written_by_hand_beforehand(
    stacks: Any, tools: dict[str, Any], written: Path
) -> None:
    mounts = {mount["target"]: mount["source"] for mount in stacks["onprem"]["services"]["nginx"]["volumes"]}
    (folder,) = (mount["source"] for mount in tools["nginx-keys"]["volumes"] if mount["target"] == "/keys")
    assert {path.name for path in written.iterdir()} == {site.KEYS_DIR, MARKS_DIR}
    for path in written.iterdir():
        assert mounts[f"/etc/nginx/{path.name}"] == f"{folder}/nginx/{path.name}"
    servers = [server.address for server in parse_servers((written / MARKS_DIR / SERVERS_FILE).read_text(), "written")]
    assert servers == [f"{name}:8000" for name in REPLICAS] == sorted(servers_of_nginx())


def test_a_drain_marks_the_servers_that_nginx_reads_as_nginxs_own_account(stacks: Any, tools: dict[str, Any]) -> None:
    nginx, tool = stacks["onprem"]["services"]["nginx"], tools["drain"]
    own, seen = ({each["target"]: each for each in s["volumes"]}["/etc/nginx/marks"] for s in (nginx, tool))
    assert (seen["source"], seen.get("read_only"), own["read_only"]) == (own["source"], None, True)
    assert (tool["user"], tool["pid"], tool["cap_drop"]) == (nginx["user"], "service:nginx", ["ALL"])
    # Its master is process 1 there: no init of Docker's stands before it.
    assert "--nginx-pid=1" in tool["entrypoint"] and not nginx.get("init")
    assert "secrets" not in tool, "no key of the gateway is kept beside the engines"
    (url,) = (word.partition("=")[2] for word in tool["entrypoint"] if word.startswith("--replica-url="))
    for index, name in enumerate(REPLICAS):
        address = stacks["onprem"]["services"][name]["networks"]["engine"]["ipv4_address"]
        assert url.replace("{replica}", str(index)) == f"http://{address}:8000"


def onprem_site() -> Path:
    return site.STATIC_FILES / "site.onprem.conf"


def directives(name: str, inside: bool = False) -> list[list[str]]:
    """The arguments of every directive of that name in the on-prem site; or the lines inside, but for defaults."""

    def walk(block: list[dict[str, Any]]) -> list[list[str]]:
        found = [item for item in block if item["directive"] == name]
        below = [args for item in block for args in walk(item.get("block", []))]
        if inside:
            lines = [line for item in found for line in item["block"] if line["directive"] != "default"]
            return [[line["directive"], *line["args"]] for line in lines]
        return [item["args"] for item in found] + below

    parsed = crossplane.parse(str(onprem_site()), single=True, check_ctx=False)
    return walk(parsed["config"][0]["parsed"])


def servers_of_nginx() -> set[str]:
    return {args[0] for args in directives("server") if args}


def test_nginxs_site_is_what_the_local_stacks_command_writes_for_these_replicas(
    stacks: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    services = stacks["onprem"]["services"]
    given = {name: options(services[name]["command"][4:]) for name in REPLICAS}
    arguments = ["--host", "0.0.0.0", "--profile", given["replica-0"]["--profile"][0]]
    for name in REPLICAS:
        arguments += ["--engine", f"{name}:{given[name]['--port'][0]}"]
    for network, _ in directives("geo", inside=True):
        arguments += ["--monitor", network]
    here = nginx_site(StackSettings(root=ROOT, state_dir=ROOT, engine_python=Path("python3")))
    assert set(options(arguments)) <= set(options(here[here.index("--out") :]))
    assert site.main(arguments) == 0
    assert capsys.readouterr().out == onprem_site().read_text("utf-8")


def test_nginx_listens_where_the_policy_lets_the_gateway_through(stacks: Any) -> None:
    ports = {int(args[0].rpartition(":")[2]) for args in directives("listen")}
    assert ports == ALLOWED["tag:scout-gateway", "tag:scout-cluster"]
    assert "http://127.0.0.1:8080/" in stacks["onprem"]["services"]["nginx"]["healthcheck"]["test"]


def test_nginx_waits_as_long_as_the_profile_says_and_that_is_thirty_seconds(stacks: Any) -> None:
    profile = options(stacks["onprem"]["services"]["replica-0"]["command"][4:])["--profile"][0]
    assert directives("proxy_read_timeout") == [[f"{load_profile(profile).limits.request_timeout_s}s"]] == [["30s"]]


def variables(names: Iterable[str]) -> set[str]:
    """Names of ours; a secret that is read from a file counts as the secret."""
    return {name.removesuffix("_FILE") for name in names if name.startswith(("SCOUT_", "VLLM_"))}


@pytest.mark.parametrize(
    ("side", "name", "elsewhere"),
    [
        *(pytest.param("onprem", name, set(), id=name) for name in REPLICAS),
        # The local stack starts the gateway in the repository, where it finds gateway.toml by itself.
        # And beside it is no tailnet to look at.
        pytest.param("cloud", "gateway", {"SCOUT_CONFIG", "SCOUT_TAILSCALE_SOCKET"}, id="gateway"),
    ],
)
def test_a_service_is_configured_by_the_same_variables(
    stacks: Any, local: dict[str, Service], side: str, name: str, elsewhere: set[str]
) -> None:
    here = variables([*local[name].env, *local[name].secrets]) - {MARKER}
    assert variables(stacks[side]["services"][name]["environment"]) - elsewhere == here


def test_the_gateway_is_the_same_command_with_the_same_configuration(stacks: Any, local: dict[str, Service]) -> None:
    service = stacks["cloud"]["services"]["gateway"]
    assert service["command"][1:] == list(local["gateway"].argv[1:]) == ["-m", "gateway", "serve"]
    (mount,) = (volume for volume in service["volumes"] if volume["type"] == "bind")
    assert (mount["source"], mount["target"]) == (str(ROOT / "gateway.toml"), service["environment"]["SCOUT_CONFIG"])


def test_the_gateway_sees_the_sidecars_socket_and_cannot_replace_it(stacks: Any) -> None:
    services = stacks["cloud"]["services"]
    socket = Path(services["tailscale"]["environment"]["TS_SOCKET"])
    assert services["gateway"]["environment"]["SCOUT_TAILSCALE_SOCKET"] == str(socket)
    (own,) = (volume for volume in services["tailscale"]["volumes"] if volume["target"] == str(socket.parent))
    (seen,) = (volume for volume in services["gateway"]["volumes"] if volume["target"] == str(socket.parent))
    assert (seen["type"], seen["source"], seen["read_only"]) == ("volume", own["source"], True)


@pytest.fixture
def deployed(stacks: Any, tmp_path: Path) -> Settings:
    """The settings that the gateway has in its container, its files being ours."""
    service = stacks["cloud"]["services"]["gateway"]
    mounted = {volume["target"]: volume["source"] for volume in service["volumes"]}
    for secret in service["secrets"]:
        path = tmp_path / secret["source"]
        path.write_text("a-key-of-at-least-sixteen\n", "utf-8")
        mounted[secret["target"]] = str(path)
    return configuration.load({name: mounted.get(value, value) for name, value in service["environment"].items()})


def test_the_gateway_accepts_what_the_compose_file_gives_it(stacks: Any, deployed: Settings) -> None:
    assert len(deployed.replica_urls) == len(REPLICAS)
    assert deployed.onprem_key.get_secret_value() == "a-key-of-at-least-sixteen"
    ports = [port["target"] for port in stacks["cloud"]["services"]["tailscale"]["ports"] if port["protocol"] == "tcp"]
    assert ports == [deployed.listen.port]
    probe = stacks["cloud"]["services"]["gateway"]["healthcheck"]["test"][-1]
    assert f"http://127.0.0.1:{deployed.listen.port}/livez" in probe


def test_the_gateway_waits_thirty_seconds_for_a_replica_and_asks_it_at_least_that_often(deployed: Settings) -> None:
    assert deployed.on_prem.first_content_timeout_s == deployed.on_prem.idle_timeout_s == 30
    assert deployed.health.ready_interval_s <= 30


def test_a_stopped_gateway_has_time_for_the_streams_under_way(stacks: Any, deployed: Settings) -> None:
    assert seconds(stacks["cloud"]["services"]["gateway"]["stop_grace_period"]) > deployed.shutdown.grace_s
