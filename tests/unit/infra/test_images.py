"""The gateway image: unprivileged, built from pinned wheels, and nothing of the repository in it that was not named."""

import re
import shlex
from typing import Any

import pytest

from tests.support.compose import ROOT, example_env, load

DOCKERFILE = ROOT / "infra/images/gateway.Dockerfile"


@pytest.fixture(scope="module")
def stages() -> list[list[str]]:
    """The instructions of each stage, one a string."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text("utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    starts = [number for number, line in enumerate(lines) if line.startswith("FROM ")]
    return [lines[start:end] for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]


@pytest.fixture(scope="module")
def gateway() -> Any:
    return load("cloud", example_env("cloud"))["services"]["gateway"]


def instruction(stage: list[str], name: str) -> str:
    (line,) = (line for line in stage if line.startswith(f"{name} "))
    return line.removeprefix(f"{name} ")


def test_the_compose_file_builds_it_from_the_repository(gateway: Any) -> None:
    assert gateway["build"] == {"context": str(ROOT), "dockerfile": str(DOCKERFILE.relative_to(ROOT))}


def test_by_itself_it_runs_what_the_compose_file_runs(stages: list[list[str]], gateway: Any) -> None:
    assert instruction(stages[-1], "CMD") == str(gateway["command"]).replace("'", '"')


def test_it_runs_as_the_account_that_may_read_the_keys(stages: list[list[str]], gateway: Any) -> None:
    assert instruction(stages[-1], "USER") == "10001:10001"
    assert gateway["group_add"] == ["10001"]
    assert "user" not in gateway


def test_packages_come_as_wheels_with_the_hashes_of_the_lock(stages: list[list[str]]) -> None:
    (install,) = (line for line in stages[0] if "pip" in line and "install" in line)
    words = shlex.split(install)
    assert "--require-hashes" in words
    assert words[words.index("--only-binary") + 1] == ":all:"
    assert not any("pip" in line for line in stages[-1])


def test_every_pinned_package_has_a_hash() -> None:
    lock = (ROOT / "requirements/gateway.txt").read_text("utf-8")
    for block in re.split(r"\n(?=\w)", lock):
        if "==" in block:
            assert "--hash=sha256:" in block, block.splitlines()[0]


def test_what_is_copied_is_let_through_and_nothing_else_is(stages: list[list[str]]) -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    copies = [line.split() for stage in stages for line in stage if line.startswith("COPY ") and "--from" not in line]
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == {source for _, source, _ in copies}


def test_no_frontend_is_fetched_to_build_it() -> None:
    assert "syntax=" not in DOCKERFILE.read_text("utf-8")
