from pathlib import Path

import pytest

from gateway.configuration import ENVIRONMENT
from infra.local.settings import VARIABLES, BadSettings, from_environment

ROOT = Path("/project")


def test_defaults_are_the_documented_ports() -> None:
    settings = from_environment({}, ROOT)
    assert settings.gateway_url == "http://127.0.0.1:8000"
    assert settings.balanced_url == "http://127.0.0.1:8080"
    assert settings.replica_urls == tuple(f"http://127.0.0.1:{port}" for port in (8081, 8082, 8083))
    assert settings.engine_urls == tuple(f"http://127.0.0.1:{port}" for port in (8091, 8092, 8093))
    assert settings.state_dir == ROOT / ".scout"


def test_environment_moves_every_port() -> None:
    environ = {"SCOUT_PORT": "1", "SCOUT_ONPREM_PORT": "2", "SCOUT_REPLICA_PORT": "10", "SCOUT_ENGINE_PORT": "20"}
    assert set(from_environment(environ, ROOT).ports()) == {1, 2, 10, 11, 12, 20, 21, 22}


def test_command_line_wins_over_the_environment() -> None:
    environ = {"SCOUT_REPLICAS": "2"}
    assert from_environment(environ, ROOT).replicas == 2
    assert from_environment(environ, ROOT, replicas=1).replicas == 1
    assert from_environment(environ, ROOT, replicas=None).replicas == 2


def test_empty_variable_means_the_default() -> None:
    assert from_environment({"SCOUT_PORT": ""}, ROOT).gateway_port == 8000


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        pytest.param({"SCOUT_PORT": "http"}, "SCOUT_PORT=http", id="no-number"),
        pytest.param({"SCOUT_ONPREM_PORT": "70000"}, "SCOUT_ONPREM_PORT=70000", id="no-port"),
        pytest.param({"SCOUT_REPLICAS": "0"}, "SCOUT_REPLICAS=0", id="no-replica"),
        pytest.param({"SCOUT_START_TIMEOUT": "-1"}, "SCOUT_START_TIMEOUT=-1", id="no-time"),
        pytest.param(
            {"SCOUT_PORT": "8082"}, "port 8082 is meant for both the gateway and nginx for replica 1", id="twice"
        ),
        pytest.param({"SCOUT_ENGINE_PORT": "65534"}, "port 65536: choose a lower SCOUT_ENGINE_PORT", id="beyond"),
    ],
)
def test_bad_variable_is_named(environ: dict[str, str], said: str) -> None:
    with pytest.raises(BadSettings, match=said):
        from_environment(environ, ROOT)


def test_every_variable_of_stack_and_gateway_is_in_the_example_file() -> None:
    example = (Path(__file__).resolve().parents[4] / ".env.example").read_text()
    assert [name for name in [*VARIABLES.values(), *ENVIRONMENT] if f"# {name}=" not in example] == []
