"""The command line: what `check` tells of good settings, and that bad ones stop both commands with their names."""

import json
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.configuration import ENVIRONMENT

CLIENT_KEY, ONPREM_KEY = "client-key-0123456789", "onprem-key-0123456789"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    config = tmp_path / "gateway.toml"
    config.touch()
    return {
        "SCOUT_CONFIG": str(config),
        "SCOUT_REPLICA_URLS": "http://100.64.0.7:8081,http://100.64.0.7:8082",
        "SCOUT_API_KEYS": CLIENT_KEY,
        "SCOUT_ONPREM_KEY": ONPREM_KEY,
    }


def test_check_prints_good_settings_without_their_secrets(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check"], environ) == 0
    told, errors = capsys.readouterr()
    assert errors == ""
    settings, end = json.JSONDecoder().raw_decode(told)
    assert settings["listen"] == {"host": "127.0.0.1", "port": 8000}
    assert told[end:].strip() == "The settings are good: 2 replicas, model llama-70b-scout."
    assert CLIENT_KEY not in told
    assert ONPREM_KEY not in told


@pytest.mark.parametrize("command", ["check", "serve"])
def test_bad_settings_are_named_and_nothing_is_started(
    command: str, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command], {**environ, "SCOUT_PORT": "x", "SCOUT_API_KEYS": ""}) == 2
    told, errors = capsys.readouterr()
    assert told == ""
    assert [line.split(":")[0] for line in errors.splitlines()] == [
        "The gateway's settings cannot be used",
        "SCOUT_PORT",
        "SCOUT_API_KEYS",
    ]


def test_help_explains_every_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"], {})
    assert left.value.code == 0
    told = capsys.readouterr().out
    for name, meaning in ENVIRONMENT.items():
        assert name in told
        assert meaning in told


@pytest.mark.parametrize("argv", [[], ["start"], ["check", "extra"]])
def test_an_unknown_command_is_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(argv, {})
    assert left.value.code == 2
    assert "usage: python -m gateway" in capsys.readouterr().err
