"""How `./scout` sets itself up, in a project so small that it takes seconds: the real script, and no packages."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.timeout(300)


class Project:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.requirements = path / "requirements" / "dev.txt"
        self.requirements.parent.mkdir(parents=True)
        self.requirements.write_text("# nothing\n")
        (path / "infra" / "local").mkdir(parents=True)
        (path / "infra" / "local" / "__main__.py").write_text("import sys; print('ran', *sys.argv[1:])\n")
        shutil.copy(ROOT / "scout", path / "scout")

    @property
    def stamp(self) -> Path:
        return self.path / ".venv" / ".whole"

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("SCOUT_")} | env
        pipe = subprocess.PIPE
        command = [str(self.path / "scout"), *arguments]
        return subprocess.Popen(
            command, cwd="/", env=own, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        )

    def run(self, *arguments: str, **env: str) -> tuple[int, str, str]:
        with self.start(*arguments, **env) as process:
            out, err = process.communicate(timeout=120)
        return process.returncode, out, err


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "a project")


def test_first_run_tells_its_steps_and_the_second_is_quick_and_silent(project: Project) -> None:
    code, out, err = project.run("status")
    assert (code, out) == (0, "ran status\n")
    steps = [line for line in err.splitlines() if line.endswith(" s")]
    assert len(steps) == 2 and all(line.startswith("set-up: ") for line in steps)
    began = time.monotonic()
    assert project.run("status") == (0, "ran status\n", "")
    assert time.monotonic() - began < 2


def test_failed_installation_tells_why_and_does_not_pass_for_whole(project: Project) -> None:
    project.requirements.write_text("not a requirement\n")
    code, out, err = project.run("status")
    assert (code, out) == (1, "")
    assert "scout: set-up failed at: packages of the gateway and the tools." in err
    assert "Invalid requirement" in err, "the end of pip's own output"
    assert str(project.path / ".scout" / "logs" / "setup.log") in err
    assert not project.stamp.exists()
    project.requirements.write_text("# nothing\n")
    assert project.run("status")[:2] == (0, "ran status\n")


def test_changed_requirements_and_a_moved_project_are_set_up_anew(project: Project) -> None:
    project.run("status")
    stray = project.path / ".venv" / "stray"
    stray.touch()
    project.requirements.write_text("# nothing, said differently\n")
    assert "set-up" in project.run("status")[2]
    assert not stray.exists(), "what is no longer wanted is gone"
    project.path = project.path.rename(project.path.with_name("moved"))
    assert "set-up" in project.run("status")[2]


def test_two_at_once_set_up_once(project: Project) -> None:
    both = [project.start("status"), project.start("status")]
    outcomes = [process.communicate(timeout=120) for process in both]
    assert [out for out, _ in outcomes] == ["ran status\n", "ran status\n"]
    assert sum("set-up" in err for _, err in outcomes) == 1


def test_without_a_python_it_says_what_is_needed(project: Project, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "readlink", "dirname", "realpath", "mkdir", "flock", "cat", "sha256sum", "env"):
        (tools / name).symlink_to(shutil.which(name) or name)
    code, out, err = project.run("status", PATH=str(tools))
    assert (code, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith("scout: Python 3.11 or newer with venv is needed")


def test_help_needs_no_set_up_and_an_unknown_command_is_refused(project: Project) -> None:
    code, out, err = project.run("help")
    assert (code, err) == (0, "") and "usage: ./scout COMMAND" in out
    code, out, err = project.run("nonsense")
    assert (code, out) == (2, "") and "usage: ./scout COMMAND" in err
    assert not (project.path / ".venv").exists()
