import os
import stat
from pathlib import Path

import pytest

from infra.local.processes import Identity
from infra.local.settings import StackSettings
from infra.local.state import Phase, ServiceStatus, StackStatus, Stage, StateDir, write_whole


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    state = StateDir(tmp_path / "state")
    state.prepare()
    return state


def status(state: StateDir) -> StackStatus:
    settings = StackSettings(root=Path("/project"), state_dir=state.path, engine_python=Path("/python"))
    service = ServiceStatus(name="nginx", stage=Stage.READY, url="http://127.0.0.1:8080", ready_after_s=0.2)
    supervisor = Identity.of(os.getpid())
    return StackStatus(settings=settings, phase=Phase.READY, supervisor=supervisor, services=(service,))


def test_status_is_read_as_it_was_written(state: StateDir) -> None:
    state.write_status(status(state))
    assert state.read_status() == status(state)


def test_status_that_cannot_be_understood_is_none(state: StateDir) -> None:
    assert state.read_status() is None
    (state.path / "stack.json").write_text('{"phase": "of an earlier version"}')
    assert state.read_status() is None


def test_only_one_holds_the_directory(state: StateDir) -> None:
    held = state.hold()
    assert held is not None
    assert state.hold() is None
    assert state.is_held()
    assert not state.wait_until_free(0.05)
    os.close(held)
    assert not state.is_held()
    assert state.wait_until_free(0)


def test_looking_creates_nothing(tmp_path: Path) -> None:
    assert not StateDir(tmp_path / "nowhere").is_held()
    assert not (tmp_path / "nowhere").exists()


def test_keys_are_for_the_owner_alone(state: StateDir) -> None:
    assert stat.S_IMODE(state.keys.clients.parent.stat().st_mode) == 0o700


def test_clearing_keeps_keys_and_logs(state: StateDir) -> None:
    state.write_pid("nginx", 1)
    state.env.write_text("x")
    state.keys.clients.write_text("key")
    state.log("nginx").write_text("log")
    state.clear()
    assert not state.env.exists() and not list(state.path.glob("*.pid"))
    assert state.keys.clients.exists() and state.log("nginx").exists()


def test_rewritten_file_keeps_its_narrow_mode(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_whole(path, "one", mode=0o600)
    write_whole(path, "two", mode=0o600)
    assert path.read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
