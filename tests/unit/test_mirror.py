"""Unit tests mirror the source tree, so that whoever changes a file knows where its tests are.

`tests/unit/gateway/test_health.py` tests `gateway/health.py`, `test_main.py` a package's `__main__.py`, and a test of
files that are no Python is named after their folder or listed here.
"""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("gateway", "shared", "inference", "infra")
ELSEWHERE = {
    "gateway/stores/test_database_opening.py": "gateway/stores/database.py",
    "gateway/test_relay_sink.py": "gateway/relay.py",
    "infra/test_compose.py": "docker-compose.*.yml",
    "inference/standin/test_chat_template.py": "inference/standin/chat_template.jinja",
    "inference/standin/test_model_files.py": "inference/standin/model/",
}
"""What stands where a tool looks for it, and not where its test would say; and what has tests enough for two files."""


def unit_tests(root: Path) -> list[str]:
    """Test files of the packages, relative to tests/unit."""
    unit = root / "tests" / "unit"
    return sorted(str(path.relative_to(unit)) for package in PACKAGES for path in unit.glob(f"{package}/**/test_*.py"))


def places(test: str) -> list[str]:
    """Where the source of a test file may be, as patterns relative to the root."""
    if test in ELSEWHERE:
        return [ELSEWHERE[test]]
    folder, name = Path(test).parent, Path(test).stem.removeprefix("test_")
    return [f"{folder}/{name}.py", f"{folder}/__{name}__.py", f"{folder}/{name}/"]


def orphan(test: str, root: Path) -> str | None:
    """What is wrong with a test file that mirrors nothing; None where it does mirror something."""
    if any(list(root.glob(place)) for place in places(test)):
        return None
    return f"tests/unit/{test} mirrors nothing: there is no {' and no '.join(places(test))}. Rename or move the test."


@pytest.mark.parametrize("test", unit_tests(ROOT))
def test_every_unit_test_mirrors_a_source(test: str) -> None:
    if problem := orphan(test, ROOT):
        pytest.fail(problem, pytrace=False)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_looked_at(package: str) -> None:
    assert [test for test in unit_tests(ROOT) if test.startswith(f"{package}/")] != []


def test_a_test_without_a_source_is_found_and_told_where_it_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "tests/unit/gateway/wire").mkdir(parents=True)
    (tmp_path / "gateway/wire").mkdir(parents=True)
    for name in ("test_text.py", "test_gone.py", "helper.py"):
        (tmp_path / "tests/unit/gateway/wire" / name).touch()
    (tmp_path / "gateway/wire/text.py").touch()
    assert [orphan(test, tmp_path) for test in unit_tests(tmp_path)] == [
        "tests/unit/gateway/wire/test_gone.py mirrors nothing: there is no gateway/wire/gone.py and no "
        "gateway/wire/__gone__.py and no gateway/wire/gone/. Rename or move the test.",
        None,
    ]
