from pathlib import Path

import pytest

from infra.local.plan import MARKER, key_files, nginx_site, plan
from infra.local.settings import NginxAccount, StackSettings

SETTINGS = StackSettings(root=Path("/project"), state_dir=Path("/state"), engine_python=Path("/engine/python"))


def named(name: str, settings: StackSettings = SETTINGS):
    (service,) = (service for service in plan(settings) if service.name == name)
    return service


def test_three_replicas_nginx_and_the_gateway() -> None:
    assert [service.name for service in plan(SETTINGS)] == ["replica-0", "replica-1", "replica-2", "nginx", "gateway"]


def test_fewer_replicas_are_fewer_everywhere() -> None:
    one = SETTINGS.model_copy(update={"replicas": 1})
    assert [service.name for service in plan(one)] == ["replica-0", "nginx", "gateway"]
    assert named("gateway", one).env["SCOUT_REPLICA_URLS"] == "http://127.0.0.1:8081"
    assert nginx_site(one).count("--engine") == 1


def test_replica_is_served_by_its_profile_and_number_on_loopback() -> None:
    argv = " ".join(named("replica-2").argv)
    expected = "-m inference serve --profile standin-cpu --replica 2 --port-base 8091 --host 127.0.0.1"
    assert argv == f"/engine/python {expected}"


def test_own_weights_replace_those_of_the_profile() -> None:
    own = SETTINGS.model_copy(update={"model_dir": Path("/weights")})
    assert named("replica-0", own).argv[-2:] == ("--model-dir", "/weights")


def test_replica_is_asked_through_nginx() -> None:
    assert named("replica-1").ready_url == "http://127.0.0.1:8082/health"


def test_no_secret_is_in_a_command_or_in_the_plan() -> None:
    keys = key_files(SETTINGS.state_dir)
    assert named("replica-0").secrets == {"VLLM_API_KEY": keys.engine}
    assert named("gateway").secrets == {"SCOUT_ONPREM_KEY": keys.onprem}
    assert named("gateway").env["SCOUT_API_KEYS_FILE"] == str(keys.clients)
    assert named("gateway").env["SCOUT_ADMIN_KEYS_FILE"] == str(keys.admin)
    for service in plan(SETTINGS):
        assert not [name for name in service.env if name.endswith("KEY")]


def test_every_process_carries_the_marker_of_its_stack() -> None:
    assert {service.env[MARKER] for service in plan(SETTINGS)} == {"/state"}


@pytest.mark.parametrize(
    ("account", "first", "directives"),
    [
        (NginxAccount.SAME, "nginx", "daemon off;"),
        (NginxAccount.NOBODY, "setpriv", "daemon off;"),
        (NginxAccount.ROOT, "nginx", "daemon off; user root;"),
    ],
)
def test_nginx_runs_with_the_rights_it_was_given(account: NginxAccount, first: str, directives: str) -> None:
    argv = named("nginx", SETTINGS.model_copy(update={"nginx_account": account})).argv
    assert (argv[0], argv[-1]) == (first, directives)
