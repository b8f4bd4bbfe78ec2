"""The suite's targets and fixtures: every case that takes `target` or `wire` runs once per target, by name."""

import os
from collections.abc import Iterator

import pytest

from tests.contract.engines import Engines
from tests.contract.targets import TARGETS, Feature, StackMissing, Target, of_local_stack
from tests.contract.wire import Wire

MISSING = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*features): skipped, with the target's reason, where it lacks one")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "target" not in metafunc.fixturenames:
        return
    targets = metafunc.config.stash.get(TARGETS, None)
    if targets is None:
        try:
            targets = of_local_stack(os.environ)
        except StackMissing as error:
            targets = []
            metafunc.config.stash[MISSING] = str(error)
    metafunc.parametrize("target", targets, ids=[target.name for target in targets], scope="session")


def pytest_collection_modifyitems(config: pytest.Config) -> None:
    # Not where it is found out: there pytest would make a traceback of it, once for every file.
    if missing := config.stash.get(MISSING, None):
        raise pytest.UsageError(missing)


def pytest_runtest_setup(item: pytest.Item) -> None:
    target: Target | None = item.callspec.params.get("target") if hasattr(item, "callspec") else None
    if target is None:
        return
    for mark in item.iter_markers("needs"):
        for feature in mark.args:
            if reason := target.lacks.get(Feature(feature)):
                pytest.skip(f"{target.name}: {reason}")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def wire(target: Target) -> Iterator[Wire]:
    opened = Wire(target)
    yield opened
    opened.close()


@pytest.fixture
def engines(target: Target) -> Iterator[Engines]:
    """The engines behind the target, idle: what the case sees run is then its own."""
    watched = Engines(target.engines, target.engines_key)
    try:
        watched.wait_until_idle()
        yield watched
    finally:
        watched.close()
