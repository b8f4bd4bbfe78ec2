"""The documented values of the compose files: complete, valid, and refused by name when one is missing."""

import re
from pathlib import Path

import pytest

from tests.support.compose import ROOT, config, example_env, read_env

SIDES = ["onprem", "cloud"]
VARIABLE = re.compile(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}")


def source(side: str) -> str:
    return (ROOT / f"docker-compose.{side}.yml").read_text("utf-8")


@pytest.mark.parametrize("side", SIDES)
def test_the_example_values_make_the_file_valid(side: str) -> None:
    done = config(side, example_env(side), "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("side", SIDES)
def test_a_missing_value_is_refused_and_says_where_it_is_explained(side: str, tmp_path: Path) -> None:
    required = {name for name, kind, _ in VARIABLE.findall(source(side)) if kind == ":?"}
    values = read_env(example_env(side))
    assert required == set(values), "the example sets exactly what has no default"
    for missing in required:
        env_file = tmp_path / missing
        env_file.write_text("\n".join(f"{k}={v}" for k, v in values.items() if k != missing), "utf-8")
        done = config(side, env_file, "-q")
        assert done.returncode != 0
        assert f"required variable {missing} is missing a value" in done.stderr
        assert f"see infra/env/{side}.env.example" in done.stderr


@pytest.mark.parametrize("side", SIDES)
def test_the_example_names_every_optional_variable_with_its_default(side: str) -> None:
    used = {name: default for name, kind, default in VARIABLE.findall(source(side)) if kind == ":-"}
    told = dict(re.findall(r"^# (\w+)=(\S+)", example_env(side).read_text("utf-8"), re.MULTILINE))
    assert told == used
