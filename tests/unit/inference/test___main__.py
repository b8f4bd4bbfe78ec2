"""The command line as an operator uses it: real processes; only the engine's Python is one that records."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from inference.profile import profile_names

KEY = "a key with 'quotes' and $signs"

# Says yes when asked for vLLM (-c), and otherwise writes down how it was started, and as which process.
RECORDER = f"""#!{sys.executable}
import json, os, sys
if sys.argv[1] != "-c":
    json.dump({{"argv": sys.argv, "environ": dict(os.environ), "pid": os.getpid()}}, open(os.environ["RECORD"], "w"))
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    # A path with a blank: quoting is part of what is tested.
    engine = tmp_path / "the engine" / "python"
    engine.parent.mkdir()
    engine.write_text(RECORDER)
    engine.chmod(0o755)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "config.json").write_text("{}")
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "SCOUT_ENGINE_PYTHON": str(engine),
        "SCOUT_MODEL_DIR": str(tmp_path / "weights"),
        "VLLM_API_KEY": KEY,
        "RECORD": str(tmp_path / "record.json"),
        "HF_HUB_OFFLINE": "0",
    }


def _run(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "inference", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def _recorded(environ: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    record = json.loads(Path(environ["RECORD"]).read_text())
    # Set by the shell itself in any command it runs.
    shell = {"_", "PWD", "OLDPWD", "SHLVL"}
    return record["argv"], {name: value for name, value in record["environ"].items() if name not in shell}


@pytest.mark.parametrize("name", ["standin-cpu", "llama-70b-fp8-tp2"])
def test_pasting_the_printed_command_starts_exactly_what_serve_starts(environ: dict[str, str], name: str):
    served = _run(environ, "serve", "--profile", name, "--replica", "2")
    assert served.returncode == 0, served.stderr
    by_serve = _recorded(environ)

    printed = _run(environ, "command", "--profile", name, "--replica", "2")
    Path(environ["RECORD"]).unlink()
    subprocess.run(["bash", "-c", printed.stdout], env=environ, check=True)
    assert _recorded(environ) == by_serve
    assert by_serve[0][by_serve[0].index("--port") + 1] == "8093"


def test_serve_becomes_the_engine_instead_of_starting_it(environ: dict[str, str]):
    process = subprocess.Popen([sys.executable, "-m", "inference", "serve", "--profile", "standin-cpu"], env=environ)
    assert process.wait() == 0
    assert json.loads(Path(environ["RECORD"]).read_text())["pid"] == process.pid


def test_the_key_is_in_the_engines_environment_and_nowhere_in_its_arguments(environ: dict[str, str]):
    _run(environ, "serve", "--profile", "standin-cpu")
    argv, inherited = _recorded(environ)
    assert inherited["VLLM_API_KEY"] == KEY
    assert not any(KEY in argument for argument in argv)


def test_the_key_is_never_printed(environ: dict[str, str]):
    printed = _run(environ, "command", "--profile", "standin-cpu")
    assert KEY not in printed.stdout + printed.stderr
    assert printed.stdout.startswith('VLLM_API_KEY="$VLLM_API_KEY"')


def test_the_profile_wins_over_an_inherited_variable(environ: dict[str, str]):
    _run(environ, "serve", "--profile", "standin-cpu")
    assert _recorded(environ)[1]["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize(
    ("arguments", "change", "message"),
    [
        pytest.param(
            ("--profile", "nope"), {}, "there is no profile 'nope'; there are: llama-70b-awq-tp1", id="profile"
        ),
        pytest.param(("--profile", "standin-cpu"), {"VLLM_API_KEY": ""}, "VLLM_API_KEY is not set", id="key"),
        pytest.param(("--profile", "standin-cpu"), {"SCOUT_MODEL_DIR": "/nowhere"}, "/nowhere", id="weights"),
        pytest.param(("--profile", "standin-cpu"), {"SCOUT_ENGINE_PYTHON": sys.executable}, "has no vLLM", id="engine"),
        pytest.param(("--profile", "standin-cpu", "--replica", "-1"), {}, "replicas count from 0", id="replica"),
        pytest.param(("--profile", "standin-cpu", "--port", "70000"), {}, "ports go from 1 to 65535", id="port"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(
    environ: dict[str, str], arguments: tuple[str, ...], change: dict[str, str], message: str
):
    ended = _run(environ | change, "serve", *arguments)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("python -m inference serve: ")
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not Path(environ["RECORD"]).exists()


def test_an_open_engine_has_to_be_asked_for(environ: dict[str, str]):
    del environ["VLLM_API_KEY"]
    assert _run(environ, "serve", "--profile", "standin-cpu", "--no-key").returncode == 0
    assert "VLLM_API_KEY" not in _recorded(environ)[1]


def test_the_flag_for_the_weights_wins_over_the_variable(environ: dict[str, str]):
    printed = _run(environ, "command", "--profile", "standin-cpu", "--model-dir", "/mnt/other")
    assert "--model /mnt/other \\" in printed.stdout


def test_each_profile_is_listed_on_one_line_with_its_description(environ: dict[str, str]):
    lines = _run(environ, "profiles").stdout.splitlines()
    assert [line.split()[0] for line in lines] == profile_names()
    assert all(len(line.split()) > 3 for line in lines)


def test_nginx_is_reached_through_the_same_command_line(environ: dict[str, str]):
    ended = _run(environ, "nginx")
    assert ended.returncode == 2
    assert ended.stderr.startswith("python -m inference nginx: ")
