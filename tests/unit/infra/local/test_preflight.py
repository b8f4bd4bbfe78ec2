import os
import socket
from pathlib import Path

import pytest

from infra.checks.stack import own_place
from infra.local.preflight import GIB, available_bytes, memory_problem, owner_of, problems
from infra.local.settings import StackSettings, from_environment
from tests.unit.infra.local.supervised import ROOT


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    python = tmp_path / "python"
    python.touch()
    model = tmp_path / "model"
    model.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (model / name).touch()
    given = {"engine_python": python, "model_dir": model, "skip_memory_check": True}
    return from_environment(own_place(tmp_path), ROOT, **given)


@pytest.fixture
def nginx_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "nginx"
    program.parent.mkdir()
    program.touch(0o755)
    monkeypatch.setenv("PATH", str(program.parent))


@pytest.mark.usefixtures("nginx_on_path")
def test_nothing_stands_in_the_way_of_a_whole_checkout(settings: StackSettings) -> None:
    assert problems(settings) == []


@pytest.mark.usefixtures("nginx_on_path")
def test_taken_port_names_its_owner_and_the_variable(settings: StackSettings) -> None:
    with socket.create_server(("127.0.0.1", settings.replica_port + 1)):
        (problem,) = problems(settings)
    assert problem.startswith(f"port {settings.replica_port + 1}, meant for nginx for replica 1, is taken by ")
    assert f"(pid {os.getpid()})" in problem
    assert problem.endswith("stop it, or choose another with SCOUT_REPLICA_PORT=...")


@pytest.mark.usefixtures("nginx_on_path")
def test_port_taken_on_all_addresses_is_found(settings: StackSettings) -> None:
    with socket.create_server(("0.0.0.0", settings.gateway_port)):
        (problem,) = problems(settings)
    assert "SCOUT_PORT=" in problem


def test_port_that_nobody_holds_has_no_known_owner() -> None:
    assert owner_of(1) == "another process"


def test_missing_nginx_says_how_to_install_it(settings: StackSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    (problem,) = problems(settings)
    assert problem == "nginx is missing: install it (Debian, Ubuntu: sudo apt-get install nginx)"


@pytest.mark.usefixtures("nginx_on_path")
def test_missing_parts_are_all_named_at_once(settings: StackSettings, tmp_path: Path) -> None:
    (tmp_path / "model" / "model.safetensors").unlink()
    settings.engine_python.unlink()
    engine, model = problems(settings)
    assert str(settings.engine_python) in engine
    assert "lacks model.safetensors" in model


@pytest.mark.usefixtures("nginx_on_path")
def test_unknown_profile_is_a_problem_in_its_own_words(settings: StackSettings) -> None:
    (problem,) = problems(settings.model_copy(update={"profile": "llama-900b", "model_dir": None}))
    assert "llama-900b" in problem


def test_too_little_memory_says_how_much_and_what_would_fit() -> None:
    (problem,) = memory_problem(3, 3 * GIB)
    assert "3 replicas need about 3.8 GiB, 3.0 GiB are available" in problem
    assert "--replicas 2" in problem
    assert "SCOUT_SKIP_MEMORY_CHECK=1" in problem
    assert "--replicas" not in memory_problem(1, GIB)[0]
    assert memory_problem(3, 4 * GIB) == []


def test_container_with_a_limit_has_less_than_its_machine(tmp_path: Path) -> None:
    machine = available_bytes(tmp_path)
    (tmp_path / "memory.max").write_text(f"{2 * GIB}\n")
    (tmp_path / "memory.current").write_text(f"{GIB // 2}\n")
    assert available_bytes(tmp_path) == 3 * GIB // 2
    (tmp_path / "memory.max").write_text("max\n")
    assert abs(available_bytes(tmp_path) - machine) < GIB
