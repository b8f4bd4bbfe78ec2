"""Which modules are held to full coverage, and by which tests."""

import tomllib
from pathlib import Path

import pytest

from infra.checks.cores import CONTRACT, DECLARE_ONLY, cores, own_tests, source

ROOT = Path(__file__).parents[4]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("module", cores(PYPROJECT))
def test_each_is_there_and_has_tests_of_its_own(module: str) -> None:
    assert (ROOT / source(module)).is_file()
    assert (ROOT / own_tests(module)).is_file()


def test_those_that_a_stream_lives_by_are_among_them() -> None:
    assert {"gateway.health", "gateway.routing", "gateway.resume", "gateway.line"} <= set(cores(PYPROJECT))


def test_what_only_declares_is_left_out() -> None:
    contract = {"name": CONTRACT, "source_modules": ["gateway.health", *DECLARE_ONLY]}
    assert cores({"tool": {"importlinter": {"contracts": [contract]}}}) == ["gateway.health"]


def test_a_contract_that_was_renamed_is_not_taken_for_no_cores() -> None:
    with pytest.raises(KeyError, match="the core decides"):
        cores({"tool": {"importlinter": {"contracts": [{"name": "another"}]}}})
