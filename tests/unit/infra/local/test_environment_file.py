import subprocess
from pathlib import Path

from infra.local.environment_file import parse, render
from infra.local.settings import StackSettings

SETTINGS = StackSettings(root=Path("/a b"), state_dir=Path("/state"), engine_python=Path("/a b/it's/python"))


def test_shell_and_parser_read_the_same() -> None:
    text = render(SETTINGS, "client", "admin", "onprem", "engine")
    script = f"{text}\nenv -0"
    shell = subprocess.run(["bash", "-c", script], env={}, capture_output=True, text=True, check=True).stdout
    seen = dict(line.split("=", 1) for line in shell.split("\0") if line)
    parsed = parse(text)
    assert parsed == {name: seen[name] for name in parsed}
    assert parsed["SCOUT_ENGINE_PYTHON"] == "/a b/it's/python"
    keys = [parsed[name] for name in ("SCOUT_KEY", "SCOUT_ADMIN_KEY", "ONPREM_KEY", "ENGINE_KEY")]
    assert keys == ["client", "admin", "onprem", "engine"]
    assert parsed["REPLICA_URLS"].split(",") == list(SETTINGS.replica_urls)
