"""The two compose files: valid, documented, closed, and the same programs with the same settings as the local stack."""

import re
from pathlib import Path
from typing import Any

import pytest

from inference.profile import load_profile, profile_names
from infra.tailscale.check import ALLOWED
from infra.tailscale.policy import parse
from tests.support.compose import ROOT, config, example_env, load, read_env

SIDES = ["onprem", "cloud"]
REPLICAS = ["replica-0", "replica-1", "replica-2"]
EVERY_SERVICE = [("onprem", name) for name in [*REPLICAS, "tailscale", "nginx"]]
EVERY_SERVICE += [("cloud", name) for name in ["tailscale", "gateway"]]
VARIABLE = re.compile(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}")


@pytest.fixture(scope="module")
def stacks() -> dict[str, Any]:
    return {side: load(side, example_env(side)) for side in SIDES}


def source(side: str) -> str:
    return (ROOT / f"docker-compose.{side}.yml").read_text("utf-8")


def seconds(duration: str) -> int:
    minutes, rest = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", duration).groups()  # type: ignore[union-attr]
    return 60 * int(minutes or 0) + int(rest or 0)


@pytest.mark.parametrize("side", SIDES)
def test_the_example_values_make_the_file_valid(side: str) -> None:
    done = config(side, example_env(side), "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("side", SIDES)
def test_a_missing_value_is_refused_and_says_where_it_is_explained(side: str, tmp_path: Path) -> None:
    required = {name for name, kind, _ in VARIABLE.findall(source(side)) if kind == ":?"}
    values = read_env(example_env(side))
    assert required == set(values), "the example sets exactly what has no default"
    for missing in required:
        env_file = tmp_path / missing
        env_file.write_text("\n".join(f"{k}={v}" for k, v in values.items() if k != missing), "utf-8")
        done = config(side, env_file, "-q")
        assert done.returncode != 0
        assert f"required variable {missing} is missing a value" in done.stderr
        assert f"see infra/env/{side}.env.example" in done.stderr


@pytest.mark.parametrize("side", SIDES)
def test_the_example_names_every_optional_variable_with_its_default(side: str) -> None:
    used = {name: default for name, kind, default in VARIABLE.findall(source(side)) if kind == ":-"}
    told = dict(re.findall(r"^# (\w+)=(\S+)", example_env(side).read_text("utf-8"), re.MULTILINE))
    assert told == used


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
    assert ":latest" not in service["image"] and ":" in service["image"]


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
