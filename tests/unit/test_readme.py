"""The README keeps its word: what it lists is all there is, and all that it names exists."""

import re
import subprocess
from pathlib import Path

import pytest

from gateway import errors
from gateway.configuration import ENVIRONMENT
from gateway.fields import FIELDS
from gateway.settings import Topology
from inference.profile import load_profile, profile_names
from infra.checks.suites import suites
from infra.local.settings import VARIABLES
from shared import headers

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def rows(header: str) -> list[list[str]]:
    """The cells of the table whose first column has this heading."""
    table = README.split(f"| {header} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_setting_stands_there_with_its_default() -> None:
    defaults = {}
    for name, part in Topology().model_dump().items():
        defaults |= {f"{name}.{key}": value for key, value in part.items()}
    told = {names(row[0])[0]: row[1].strip("`") for row in rows("gateway.toml")}
    assert told.keys() == defaults.keys()
    for key, value in defaults.items():
        shown = "none" if value in ((), None) else f"{value:g}" if isinstance(value, float) else str(value)
        assert told[key] == shown, key


def test_every_variable_of_the_gateway_stands_there() -> None:
    told = {name for row in rows("environment of the gateway") for name in names(row[0])}
    secrets = {"SCOUT_API_KEYS_FILE", "SCOUT_ONPREM_KEY_FILE", "SCOUT_ADMIN_KEYS_FILE"}
    assert told == set(ENVIRONMENT) | secrets


def test_every_variable_of_the_local_stack_stands_there() -> None:
    told = {name for row in rows("environment of `./scout up`") for name in names(row[0])}
    assert told == set(VARIABLES.values()) | {"SCOUT_PYTHON"}


def test_every_error_stands_there_with_its_status() -> None:
    leaves = errors.GatewayError.__subclasses__()
    told = {names(row[0])[0]: int(row[1]) for row in rows("code")}
    assert told == {leaf.code: leaf.status for leaf in leaves}


def test_every_profile_stands_there_and_holds_the_limits_it_tells() -> None:
    told = {names(row[0])[0] for row in rows("profile")}
    assert told == set(profile_names())
    for name in told:
        limits = load_profile(name).limits
        assert (limits.max_concurrent_requests, limits.request_timeout_s) == (10, 30)


def test_every_suite_stands_there() -> None:
    section = README.split("## Tests", 1)[1].split("##", 1)[0]
    assert re.findall(r"^- `(\w+)`:", section, re.M) == list(suites())


def test_every_command_is_one_of_scouts() -> None:
    usage = subprocess.run([ROOT / "scout", "help"], capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"^  (\w+)", usage, re.M)) | {"help"}
    used = set(re.findall(r"\./scout (\w+)", README))
    assert used <= known
    assert {"up", "test", "chat", "down"} <= used


TREE = README.split("## The tree", 1)[1].split("##", 1)[0]


@pytest.mark.parametrize("path", re.findall(r"^    (\S+)", TREE, re.M))
def test_the_tree_names_what_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_tree_names_all_that_is_there() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.partition("/")[0] for line in tracked.splitlines() if not line.startswith(".")}
    told = {path.partition("/")[0] for path in re.findall(r"^    (\S+)", TREE, re.M)}
    assert top - told <= {"README.md", "CHANGELOG.md", "pyproject.toml"}


LIFE = README.split("## The life of a request", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:gateway|inference|shared|infra)/[^`]*)`", README))))
def test_files_that_the_text_names_exist(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(\w+\.py)`", LIFE))))
def test_files_named_without_their_folder_exist_in_the_gateway(name: str) -> None:
    assert list((ROOT / "gateway").rglob(name))


def test_every_field_that_is_not_simply_passed_on_stands_there() -> None:
    assert {name for row in rows("field of a request") for name in names(row[0])} == set(FIELDS)


def test_every_header_of_a_request_stands_there() -> None:
    told = {names(row[0])[0] for row in rows("header of a request")}
    assert told == {headers.DEADLINE_MS, headers.PRIORITY, headers.REQUEST_ID}
