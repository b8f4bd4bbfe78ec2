"""A stock file becomes vehicles, or a list of all that is wrong with it, each with its row and column.

Pure: bytes in, vehicles or problems out; all or nothing. Rows are counted as a spreadsheet does: the header is row 1.
A file is comma-, semicolon- or tab-separated text in UTF-8, or in UTF-16 with its mark, as spreadsheets save it. What
cannot be read for certain is refused, with what to do.
"""

import codecs
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.dealership.spelling import clean, squash
from gateway.dealership.stock_columns import BY_HEADER, REQUIRED, Column, shown
from gateway.dealership.vehicle import Vehicle
from gateway.dealership.vin import check_digit, has_valid_check_digit

MAX_BYTES = 64 * 1024 * 1024
MAX_TOLD = 50
"""Problems that are told one by one. Who has more has one mistake many times, or the wrong file."""

_MARKS = {codecs.BOM_UTF8: "UTF-8-SIG", codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}
_DELIMITERS = ",;\t"
_SHAPES = {
    "vin": "17 letters and digits without I, O and Q",
    "stock_number": "1 to 20 letters, digits, '.', '_', '/' and '-'",
}


class Unreadable(Exception):
    """The file is no table of text; the message says why and what to do."""


@dataclass
class Remarks:
    """What was found, in the order of the file: the first MAX_TOLD, and how many there are."""

    told: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, remark: str) -> None:
        self.count += 1
        if self.count <= MAX_TOLD:
            self.told.append(remark)

    def lines(self) -> list[str]:
        """All that is to be told, one a line."""
        more = self.count - len(self.told)
        return [*self.told, f"and {more} more"] if more else list(self.told)


@dataclass(frozen=True)
class Reading:
    """Where there are problems there are no vehicles. `warnings` keep nothing back; a strict reading has none."""

    vehicles: tuple[Vehicle, ...]
    problems: Remarks
    warnings: Remarks


def read(data: bytes, *, strict: bool = False) -> Reading:
    """The vehicles of a file. `strict` makes a problem of what else is a warning: unknown columns, VIN check digits."""
    problems, warnings = Remarks(), Remarks()
    doubts = problems if strict else warnings
    vehicles: list[Vehicle] = []
    try:
        rows = _rows(_text(data))
        columns = _columns(*_header(rows), problems, doubts)
        if not problems.count:
            vehicles = _vehicles(rows, columns, problems, doubts)
    except Unreadable as unreadable:
        problems.add(str(unreadable))
    return Reading(() if problems.count else tuple(vehicles), problems, warnings)


def _text(data: bytes) -> str:
    """What the file says. Raises Unreadable."""
    if len(data) > MAX_BYTES:
        raise Unreadable(f"the file has {len(data):,} bytes; {MAX_BYTES:,} are the limit")
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "UTF-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"line {line} is not {encoding} text: save the file as 'CSV UTF-8'") from error
    if "\0" in text:
        raise Unreadable("the file has zero bytes, so it is no CSV: save it as 'CSV UTF-8'")
    return text


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The header and the rows that are not empty, each with its number. Raises Unreadable."""
    first = text.lstrip().partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 0
    while True:
        number += 1
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            raise Unreadable(f"row {number} (line {lines.line_num}): {error}; is a quote left open?") from error
        if any(map(str.strip, cells)):
            yield number, cells


def _header(rows: Iterator[tuple[int, list[str]]]) -> tuple[int, list[str]]:
    for row in rows:
        return row
    raise Unreadable("the file is empty")


def _columns(row: int, header: Sequence[str], problems: Remarks, doubts: Remarks) -> list[tuple[str, Column | None]]:
    """Each column of the file, by its own name; None for one that we do not know."""
    columns = [(clean(name), BY_HEADER.get(squash(name))) for name in header]
    seen: dict[str, str] = {}
    for place, (name, column) in enumerate(columns, 1):
        if column is None:
            doubts.add(f"column {place}, {shown(name)}: not known, and left out{_guess(name)}")
        elif column.field in seen:
            problems.add(f"columns {seen[column.field]!r} and {name!r} both give the {column.field}")
        else:
            seen[column.field] = name
    if absent := [name for name in REQUIRED if name not in seen]:
        problems.add(f"the header, row {row}, has no column for: {', '.join(absent)}")
    return columns


def _guess(name: str) -> str:
    close = get_close_matches(squash(name), BY_HEADER, n=1)
    return f"; is it the {BY_HEADER[close[0]].field}?" if close else ""


def _vehicles(
    rows: Iterator[tuple[int, list[str]]],
    columns: Sequence[tuple[str, Column | None]],
    problems: Remarks,
    doubts: Remarks,
) -> list[Vehicle]:
    vehicles = []
    names = {column.field: name for name, column in columns if column}
    seen: dict[tuple[str, str], int] = {}
    for number, cells in rows:
        before = problems.count
        values = dict(_values(number, cells, columns, problems))
        if problems.count > before:
            continue
        try:
            vehicle = Vehicle.model_validate(values)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                problems.add(f"row {number}, column {names[str(detail['loc'][0])]}: {_explained(detail)}")
            continue
        _compare(vehicle, number, names, seen, problems)
        if vehicle.vin and not has_valid_check_digit(vehicle.vin):
            right = check_digit(vehicle.vin)
            doubts.add(f"row {number}, column {names['vin']}: the check digit of {vehicle.vin} should be {right}")
        vehicles.append(vehicle)
    if not vehicles and not problems.count:
        problems.add("the file has a header and no vehicles")
    return vehicles


def _values(
    number: int, cells: Sequence[str], columns: Sequence[tuple[str, Column | None]], problems: Remarks
) -> Iterator[tuple[str, object]]:
    """The fields that a row gives. A row may be shorter than the header: its last cells are empty."""
    if any(map(str.strip, cells[len(columns) :])):
        problems.add(f"row {number}: {len(cells)} cells, and the header has {len(columns)}: is a comma not quoted?")
        return
    padded = [*cells, *[""] * (len(columns) - len(cells))]
    for cell, (name, column) in zip(padded, columns, strict=False):
        if column is None:
            continue
        if not clean(cell):
            if column.required:
                problems.add(f"row {number}, column {name}: empty, and every vehicle needs one")
            continue
        try:
            yield column.field, column.read(cell)
        except ValueError as error:
            problems.add(f"row {number}, column {name}: {error}")


def _compare(
    vehicle: Vehicle, number: int, names: Mapping[str, str], seen: dict[tuple[str, str], int], problems: Remarks
) -> None:
    """No two vehicles have the same stock number, or the same VIN."""
    for name, value in (("stock_number", vehicle.stock_number), ("vin", vehicle.vin)):
        if value is None:
            continue
        if (first := seen.setdefault((name, value), number)) != number:
            problems.add(f"row {number}, column {names[name]}: {value!r} is in row {first} already")


def _explained(detail: ErrorDetails) -> str:
    """Pydantic's finding in the words of the other problems."""
    value, limits = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "greater_than_equal":
            return f"{value} is less than {limits['ge']}"
        case "less_than_equal":
            return f"{value} is more than {limits['le']}"
        case "too_long" if isinstance(value, str):
            return f"{shown(value)} has {len(value)} characters; {limits['max_length']} are the limit"
        case "too_long":
            return f"{len(value)} features; {limits['max_length']} are the limit"
    return f"{shown(str(value))} is not {_SHAPES.get(str(detail['loc'][0]), detail['msg'])}"
