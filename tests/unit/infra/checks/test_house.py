from pathlib import Path

import pytest

from infra.checks.house import breaches, of_file

LONG = "x = 1\n"


@pytest.mark.parametrize(
    ("path", "source", "said"),
    [
        pytest.param("a/long.py", LONG * 401, "401 lines", id="file"),
        pytest.param("a/f.py", "def f():\n" + "    x = 1\n" * 60, "f has 61 lines", id="function"),
        pytest.param("a/f.py", "async def f():\n" + "    x = 1\n" * 60, "f has 61 lines", id="coroutine"),
        pytest.param("a/f.py", "def f():\n    if x:\n        import os\n", "f.py:3: an import inside f", id="import"),
        pytest.param("a/utils.py", "", "says nothing of what is inside", id="name"),
    ],
)
def test_breach_is_found(path: str, source: str, said: str) -> None:
    (breach,) = of_file(Path(path), source)
    assert said in breach


def test_sizes_at_the_limit_are_allowed() -> None:
    assert list(of_file(Path("a/f.py"), LONG * 400)) == []
    assert list(of_file(Path("a/f.py"), "def f():\n" + "    x = 1\n" * 59)) == []


def test_every_package_is_looked_at(tmp_path: Path) -> None:
    for package in ("shared", "gateway", "inference", "infra", "tests"):
        (tmp_path / package / "deep").mkdir(parents=True)
        (tmp_path / package / "deep" / "utils.py").touch()
    assert len(list(breaches(tmp_path))) == 5
