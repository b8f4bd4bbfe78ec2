"""The `inventory` command: what it prints, what it changes, and its exit codes."""

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.commands import inventory
from gateway.dealership import stock_import
from tests.unit.gateway.dealership.cars import ROW, VIN, file, row

SEED = Path(stock_import.__file__).parent / "seed.csv"
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def scout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command on a stock of its own; the exit code, and what it wrote to standard output and error."""

    def run(*argv: str) -> tuple[int, str, str]:
        parser = argparse.ArgumentParser()
        inventory.configure(parser)
        stdout = io.StringIO()
        environ = {"SCOUT_DATABASE_URL": f"sqlite:///{tmp_path}/stock.db"}
        code = inventory.run(parser.parse_args(argv), environ, io.StringIO(), stdout)
        return code, stdout.getvalue(), capsys.readouterr().err

    return run


@pytest.fixture
def listing(tmp_path: Path) -> Callable[..., str]:
    """Writes a stock file; its path."""

    def write(*rows: str) -> str:
        path = tmp_path / "stock.csv"
        path.write_bytes(file(*rows))
        return str(path)

    return write


Listing = Callable[..., str]


def test_a_file_is_taken_in_and_can_be_shown(scout: Command, listing: Listing) -> None:
    path = listing(ROW, row(stock_number="B2"))
    assert scout("import", path) == (0, "2 vehicles read: 2 added, 0 changed, 0 removed; version 1\n", "")
    assert scout("version") == (0, "1\n", "")
    code, shown, _ = scout("show", "--limit", "1")
    assert code == 0
    assert shown == (
        "2 vehicles: everything that is available\n  2023 Honda CR-V EX-L, blue, 17,250 miles, $33,450 (stock B2)\n"
    )


def test_an_update_keeps_the_rest_and_a_replacement_does_not(scout: Command, listing: Listing) -> None:
    scout("import", listing(ROW, row(stock_number="B2")))
    third = listing(row(stock_number="C3"))
    assert scout("import", "--update", third)[1] == "1 vehicle read: 1 added, 0 changed, 0 removed; version 2\n"
    assert scout("import", "--replace", third)[1] == "1 vehicle read: 0 added, 0 changed, 2 removed; version 3\n"
    assert scout("import", "--replace", third)[1] == "1 vehicle read: 0 added, 0 changed, 0 removed; version 3\n"


def test_a_dry_run_changes_nothing(scout: Command, listing: Listing) -> None:
    told = "1 vehicle read: 1 added, 0 changed, 0 removed; a dry run, so nothing was changed\n"
    assert scout("import", "--dry-run", listing(ROW)) == (0, told, "")
    assert scout("version")[1] == "0\n"


def test_a_file_with_problems_changes_nothing_and_each_is_told(scout: Command, listing: Listing) -> None:
    scout("import", listing(ROW))
    path = listing(row(stock_number="B2"), row(stock_number="C3", price="abc"), row(stock_number="D4", year="soon"))
    assert scout("import", "--replace", path) == (
        2,
        "",
        "row 3, column price: 'abc' is not a whole number of dollars\n"
        "row 4, column year: 'soon' is not a whole number of years\n"
        f"{path}: 2 problems, nothing was imported\n",
    )
    assert scout("version")[1] == "1\n"


def test_a_warning_is_told_and_in_strict_reading_a_problem(scout: Command, listing: Listing) -> None:
    path = listing(row(vin=VIN[:8] + "3" + VIN[9:]))
    code, _, errors = scout("import", path)
    assert (code, errors.startswith("warning: row 2, column vin: the check digit of ")) == (0, True)
    code, _, errors = scout("import", "--strict", path)
    assert (code, errors.endswith("1 problem, nothing was imported\n")) == (2, True)


def test_a_vin_that_another_vehicle_of_the_stock_has_is_refused(scout: Command, listing: Listing) -> None:
    scout("import", listing(row(vin=VIN)))
    code, _, errors = scout("import", listing(row(stock_number="B2", vin=VIN)))
    assert (code, errors) == (2, f"VIN used twice: {VIN} by B2 and H4821; nothing was imported\n")


def test_a_file_that_is_not_there_is_told_as_such(scout: Command, tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    assert scout("import", str(path)) == (2, "", f"{path} cannot be read: No such file or directory\n")
    assert scout("import", str(tmp_path))[0] == 2


def test_a_question_shows_what_it_would_find(scout: Command, listing: Listing) -> None:
    scout("import", listing(ROW, row(stock_number="B2", exterior_color="red")))
    code, shown, _ = scout("show", "--query", "red honda under 40k")
    assert code == 0
    assert shown == (
        "1 vehicle: red Honda, up to $40,000\n  2023 Honda CR-V EX-L, red, 17,250 miles, $33,450 (stock B2)\n"
    )
    assert scout("show", "--query", "a boat for $5") == (0, "0 vehicles: up to $5\n", "")


def test_a_question_that_names_nothing_is_refused(scout: Command) -> None:
    code, shown, errors = scout("show", "--query", "hello")
    assert (code, shown) == (2, "")
    assert errors.startswith("'hello' names nothing that can be searched for")


@pytest.mark.parametrize("limit", ["0", "21"])
def test_a_limit_out_of_bounds_is_refused(scout: Command, limit: str) -> None:
    assert scout("show", "--limit", limit) == (2, "", f"--limit is {limit}; 1 to 20 are possible\n")


@pytest.mark.parametrize("argv", [[], ["import"], ["import", "x", "--replace", "--update"], ["sell"]])
def test_bad_use_ends_with_two(scout: Command, argv: list[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        scout(*argv)
    assert exited.value.code == 2


@pytest.mark.parametrize("argv", [["version"], ["show"], ["import", str(SEED)]])
def test_a_database_that_cannot_be_used_ends_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    (tmp_path / "stock.db").write_bytes(b"this is no database, it is a note to myself" * 100)
    parser = argparse.ArgumentParser()
    inventory.configure(parser)
    environ = {"SCOUT_DATABASE_URL": f"sqlite:///{tmp_path}/stock.db"}
    assert inventory.run(parser.parse_args(argv), environ, io.StringIO(), io.StringIO()) == 1
    assert capsys.readouterr().err.startswith("the database could not be used: ")


def test_the_seed_is_taken_in_strictly_and_with_no_variable_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    inventory.configure(parser)
    stdout = io.StringIO()
    args = parser.parse_args(["import", "--strict", "--replace", str(SEED)])
    assert inventory.run(args, {}, io.StringIO(), stdout) == 0
    assert stdout.getvalue().startswith("240 vehicles read: 240 added")
    assert (tmp_path / ".scout" / "gateway.db").exists()
