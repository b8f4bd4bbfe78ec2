"""Numbers as people and spreadsheets write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dealership.amounts import spoken, written


@pytest.mark.parametrize(
    ("text", "number"),
    [("31980", 31980), ("$31,980", 31980), ("$ 31,980.00", 31980), (" 12,345 mi ", 12345), ("0", 0), ("7 Miles", 7)],
)
def test_a_cell_is_read(text: str, number: int) -> None:
    assert written(text) == number


@pytest.mark.parametrize(
    "text", ["", "abc", "-5", "31,98", "31.980", "1,2345", "12.5", "30k", "31980.50", "1e4", "\u0661\u0662x", "5 6"]
)
def test_a_cell_that_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a whole number"):
        written(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("30k", 30_000),
        ("30 K", 30_000),
        ("$30.5k", 30_500),
        ("30 thousand", 30_000),
        ("25 grand", 25_000),
        ("$30,000", 30_000),
        ("40,000 miles", 40_000),
        ("2021", 2021),
        ("30000.75", 30_000),
        ("20 thousand dollars", 20_000),
        ("7 seats", 7),
    ],
)
def test_words_are_understood(text: str, number: int) -> None:
    assert spoken(text) == number


@pytest.mark.parametrize("text", ["", "cheap", "k", "-5", "1.2345k", "12,34", "1" * 13])
def test_words_that_are_no_number_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number such as"):
        spoken(text)


@given(st.integers(0, 999_999_999))
def test_what_we_write_we_read(number: int) -> None:
    for text in (f"{number}", f"{number:,}", f"${number:,}"):
        assert written(text) == spoken(text) == number
