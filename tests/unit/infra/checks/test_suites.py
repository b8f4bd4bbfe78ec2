import pytest

from infra.checks.suites import main, suites


def test_suites_run_from_the_quickest_to_the_slowest() -> None:
    assert list(suites()) == [
        *("check", "unit", "processes", "cores", "dealership", "engine", "contract", "soak", "chaos", "e2e")
    ]


def test_only_the_contract_is_given_a_stack() -> None:
    assert [suite.name for suite in suites().values() if suite.needs_stack] == ["contract"]


def test_chaos_never_gets_the_stack_that_is_up() -> None:
    assert not suites()["chaos"].needs_stack


def test_unknown_suite_is_named_with_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["unit", "nonsense"]) == 2
    known = "check, unit, processes, cores, dealership, engine, contract, soak, chaos, e2e"
    assert f"there is no suite nonsense; there are: {known}" in capsys.readouterr().err
