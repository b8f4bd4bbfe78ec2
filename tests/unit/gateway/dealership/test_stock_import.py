"""A stock file: what is read, and every way in which it is refused, by row and column."""

import csv
import io
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dealership import stock_import
from gateway.dealership.stock_import import MAX_TOLD, read
from gateway.dealership.vin import has_valid_check_digit
from tests.unit.gateway.dealership.cars import HEADER, ROW, VIN, file, row

SEED = Path(stock_import.__file__).parent / "seed.csv"


def problems(data: bytes, *, strict: bool = False) -> list[str]:
    """All that is wrong; where something is, nothing is read."""
    reading = read(data, strict=strict)
    assert bool(reading.vehicles) != bool(reading.problems.count)
    return reading.problems.lines()


# ---- what is read


def test_a_row_becomes_a_vehicle() -> None:
    reading = read(file(ROW))
    [vehicle] = reading.vehicles
    assert (vehicle.stock_number, vehicle.name, vehicle.price) == ("H4821", "2023 Honda CR-V EX-L", 33_450)
    assert vehicle.features == ("heated seats", "sunroof")
    assert (vehicle.vin, vehicle.seats, vehicle.status) == (None, None, "available")
    assert reading.problems.lines() == reading.warnings.lines() == []


@pytest.mark.parametrize(
    "encoding", [pytest.param("utf-8-sig", id="UTF-8 with its mark"), pytest.param("utf-16", id="UTF-16 with its mark")]
)
def test_a_file_with_a_mark_is_read(encoding: str) -> None:
    data = file(row(model="Coup\u00e9")).decode().encode(encoding)
    assert read(data).vehicles[0].model == "Coup\u00e9"


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_file_with_another_delimiter_is_read(delimiter: str) -> None:
    assert len(read(file(ROW).replace(b",", delimiter.encode())).vehicles) == 1


def test_quoted_cells_may_hold_commas_and_lines() -> None:
    quoted = ROW.replace("33450", '"$33,450"').replace("One owner.", '"One owner,\nno ""accidents""."')
    [vehicle] = read(file(quoted).replace(b"\n", b"\r\n")).vehicles
    assert (vehicle.price, vehicle.description) == (33_450, 'One owner, no "accidents".')


def test_empty_rows_and_cells_left_out_at_the_end_are_nothing() -> None:
    short = ",".join(ROW.split(",")[:-2])
    assert len(read(b"\n" + file("", short, ",,,", row(stock_number="B2") + ",,")).vehicles) == 2


def test_headers_may_have_other_names_and_any_order() -> None:
    names = {"stock_number": "Stock #", "mileage": "ODOMETER", "exterior_color": "Exterior Color"}
    header = ",".join(names.get(name, name) for name in reversed(HEADER.split(",")))
    assert read(file(",".join(reversed(ROW.split(","))), header=header)).vehicles == read(file(ROW)).vehicles


# ---- what is wrong with a cell


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"price": "abc"}, "row 2, column price: 'abc' is not a whole number of dollars"),
        ({"price": ""}, "row 2, column price: empty, and every vehicle needs one"),
        ({"price": "0"}, "row 2, column price: 0 is less than 1"),
        ({"make": "\u200b"}, "row 2, column make: empty, and every vehicle needs one"),
        ({"mileage": "-1"}, "row 2, column mileage: '-1' is not a whole number of miles"),
        ({"mileage": "1000001"}, "row 2, column mileage: 1000001 is more than 1000000"),
        ({"year": "23"}, "row 2, column year: 23 is less than 1900"),
        (
            {"fuel_type": "coal"},
            "row 2, column fuel_type: 'coal' is not one of gas, hybrid, plug-in hybrid, electric, diesel",
        ),
        (
            {"stock_number": "two words"},
            "row 2, column stock_number: 'TWO WORDS' is not 1 to 20 letters, digits, '.', '_', '/' and '-'",
        ),
        ({"vin": "123"}, "row 2, column vin: '123' is not 17 letters and digits without I, O and Q"),
        ({"model": "x" * 61}, f"row 2, column model: '{'x' * 40}…' has 61 characters; 60 are the limit"),
        ({"features": "|".join(f"f{n}" for n in range(61))}, "row 2, column features: 61 features; 60 are the limit"),
        ({"features": "x" * 61}, f"row 2, column features: '{'x' * 40}…' has 61 characters; 60 are the limit"),
    ],
)
def test_a_problem_has_its_row_and_column(cells: dict[str, str], problem: str) -> None:
    assert problems(file(row(**cells))) == [problem]


def test_all_problems_are_told_and_nothing_is_read() -> None:
    data = file(ROW, row(stock_number="B2", price="abc", mileage="far"), "", row(stock_number="C3", year="soon"))
    assert problems(data) == [
        "row 3, column mileage: 'far' is not a whole number of miles",
        "row 3, column price: 'abc' is not a whole number of dollars",
        "row 5, column year: 'soon' is not a whole number of years",
    ]


def test_a_column_is_called_as_the_file_calls_it() -> None:
    data = file(row(mileage="far"), header=HEADER.replace("mileage", "Odometer"))
    assert problems(data) == ["row 2, column Odometer: 'far' is not a whole number of miles"]


def test_problems_beyond_the_bound_are_counted() -> None:
    told = problems(file(*(row(price="abc") for _ in range(MAX_TOLD + 7))))
    assert len(told) == MAX_TOLD + 1
    assert told[-1] == "and 7 more"


def test_a_stock_number_or_vin_that_comes_twice_is_told_with_both_rows() -> None:
    data = file(row(vin=VIN), row(stock_number="h4821"), row(stock_number="B2", vin=VIN.lower()))
    assert problems(data) == [
        "row 3, column stock_number: 'H4821' is in row 2 already",
        f"row 4, column vin: '{VIN}' is in row 2 already",
    ]


def test_a_row_with_too_many_cells_is_told_as_such() -> None:
    assert problems(file(ROW.replace("One owner.", "One owner, no accidents."))) == [
        "row 2: 17 cells, and the header has 16: is a comma not quoted?"
    ]


# ---- what is only suspicious


def test_a_wrong_check_digit_is_a_warning_and_in_strict_reading_a_problem() -> None:
    data = file(row(vin=VIN[:8] + "3" + VIN[9:]))
    told = f"row 2, column vin: the check digit of {VIN[:8]}3{VIN[9:]} should be 7"
    reading = read(data)
    assert (len(reading.vehicles), reading.warnings.lines()) == (1, [told])
    assert problems(data, strict=True) == [told]


def test_an_unknown_column_is_named_and_left_out_and_in_strict_reading_refused() -> None:
    data = file(f"{ROW},x,", header=f"{HEADER},Photo,milage ")
    told = [
        "column 17, 'Photo': not known, and left out",
        "column 18, 'milage': not known, and left out; is it the mileage?",
    ]
    reading = read(data)
    assert (len(reading.vehicles), reading.warnings.lines()) == (1, told)
    assert problems(data, strict=True) == told


# ---- what is wrong with the file


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param(b"", "the file is empty", id="nothing"),
        pytest.param(b"\xef\xbb\xbf \n,,\n", "the file is empty", id="nothing but a mark"),
        pytest.param(file(), "the file has a header and no vehicles", id="no rows"),
        pytest.param(
            file(ROW) + b"caf\xe9", "line 3 is not UTF-8 text: save the file as 'CSV UTF-8'", id="another encoding"
        ),
        pytest.param(
            b"\xff\xfea\x00b", "line 1 is not UTF-16 text: save the file as 'CSV UTF-8'", id="UTF-16 that is cut"
        ),
        pytest.param(
            b"PK\x03\x04\x00\x00", "the file has zero bytes, so it is no CSV: save it as 'CSV UTF-8'", id="a workbook"
        ),
        pytest.param(
            file(row(stock_number="B2"), '"open'),
            "row 3 (line 3): unexpected end of data; is a quote left open?",
            id="an open quote",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_what_to_do(data: bytes, problem: str) -> None:
    assert problems(data) == [problem]


def test_a_file_without_a_column_that_is_needed_is_refused() -> None:
    header = HEADER.replace("price", "cost").replace("make", "maker")
    assert problems(file(ROW, header=header)) == ["the header, row 1, has no column for: make, price"]


def test_two_columns_for_one_thing_are_refused() -> None:
    data = file(f"{ROW},5", header=f"{HEADER},Odometer")
    assert problems(data) == ["columns 'mileage' and 'Odometer' both give the mileage"]


def test_a_file_over_the_bound_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock_import, "MAX_BYTES", 100)
    assert problems(file(ROW)) == [f"the file has {len(file(ROW)):,} bytes; 100 are the limit"]


@given(st.one_of(st.binary(), st.text().map(lambda text: (HEADER + "\n" + text).encode("utf-8", "ignore"))))
def test_any_file_is_read_or_refused_in_words(data: bytes) -> None:
    assert problems(data) or read(data).vehicles


# ---- the stock that we bring


def test_the_seed_is_a_stock_without_a_flaw() -> None:
    reading = read(SEED.read_bytes(), strict=True)
    assert reading.problems.lines() == []
    assert len(reading.vehicles) >= 220
    assert all(vehicle.vin and has_valid_check_digit(vehicle.vin) for vehicle in reading.vehicles)


def test_the_seed_has_something_of_every_kind() -> None:
    rows = list(csv.DictReader(io.StringIO(SEED.read_text("utf-8"))))
    for column in ("body_style", "fuel_type", "condition", "status", "transmission", "drivetrain"):
        kinds = Counter(cells[column] for cells in rows)
        assert min(kinds.values()) >= 2
    assert len({cells["make"] for cells in rows}) >= 12
    assert any(cells["description"] for cells in rows) and any(cells["features"] for cells in rows)


def test_the_prices_of_the_seed_fall_with_the_years() -> None:
    by_age: dict[bool, list[int]] = {True: [], False: []}
    for vehicle in read(SEED.read_bytes()).vehicles:
        by_age[vehicle.year >= 2023].append(vehicle.price)
        assert vehicle.condition != "new" or vehicle.mileage < 100
    newer, older = (sum(prices) / len(prices) for prices in (by_age[True], by_age[False]))
    assert newer > older
