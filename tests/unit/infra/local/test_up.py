import io
import shlex
from pathlib import Path

from rich.console import Console

from infra.local.environment_file import render
from infra.local.settings import StackSettings
from infra.local.state import StateDir
from infra.local.up import announce


def announced(tmp_path: Path, state_dir: Path) -> list[str]:
    settings = StackSettings(root=tmp_path, state_dir=state_dir, engine_python=tmp_path)
    state = StateDir(state_dir)
    state.prepare()
    state.env.write_text(render(settings, "sk-client", "sk-admin", "sk-onprem", "sk-engine"))
    console = Console(file=io.StringIO(), width=40)
    announce(settings, state, console)
    return [line.strip() for line in console.file.getvalue().splitlines()]


def test_curl_line_is_one_line_that_a_shell_understands(tmp_path: Path) -> None:
    (curl,) = (line for line in announced(tmp_path, tmp_path / ".scout") if line.startswith("curl"))
    words = shlex.split(curl)
    assert words[:3] == ["curl", "-N", "http://127.0.0.1:8000/api/chat"]
    assert "Authorization: Bearer sk-client" in words
    assert words[-1] == '{"message": "Which SUVs under 30k do you have?"}'


def test_only_the_client_key_is_shown(tmp_path: Path) -> None:
    text = "\n".join(announced(tmp_path, tmp_path / ".scout"))
    assert "sk-client" in text
    assert "sk-onprem" not in text and "sk-engine" not in text


def test_chat_line_names_a_state_directory_that_is_not_the_default(tmp_path: Path) -> None:
    assert any(line.startswith("./scout chat") for line in announced(tmp_path, tmp_path / ".scout"))
    other = tmp_path / "other place"
    assert f"SCOUT_STATE_DIR='{other}' ./scout chat" in "\n".join(announced(tmp_path, other))
