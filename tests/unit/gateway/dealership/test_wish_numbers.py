"""The numbers in a message: what is a price, a year, a mileage, a number of seats, and what is none of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dealership.wish_numbers import MOST, Bounds, read


def bounds(text: str) -> Bounds:
    return read(text)[0]


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("under 30k", 30_000),
        ("below $30,000", 30_000),
        ("$18,500 or less", 18_500),
        ("less than 30 thousand dollars", 30_000),
        ("my budget is 25000", 25_000),
        ("budget of $25k", 25_000),
        ("up to 45k", 45_000),
        ("no more than 28000", 28_000),
        ("30k max", 30_000),
        ("35 grand", 35_000),
        ("$15000", 15_000),
        ("30.5k", 30_500),
        ("under 30", 30_000),
        ("20000 dollars", 20_000),
        ("under $500", 500),
        ("under $999,999,999", MOST),
    ],
)
def test_a_price_is_the_most_that_is_wanted(text: str, most: int) -> None:
    assert bounds(text) == {"max_price": most}


@pytest.mark.parametrize("text", ["over 50k", "at least $50,000", "50k or more", "$50k+", "starting at 50 thousand"])
def test_a_price_can_be_the_least(text: str) -> None:
    assert bounds(text) == {"min_price": 50_000}


@pytest.mark.parametrize(
    "text",
    [
        "between 20 and 25 thousand",
        "20-25k",
        "$20k to $25k",
        "from $20,000 to $25,000",
        "25k - 20k",
        "20 to 25 grand",
        "between 20000 and 25000",
        "20,000 to 25k",
    ],
)
def test_a_range_has_two_ends_and_one_unit(text: str) -> None:
    assert bounds(text) == {"min_price": 20_000, "max_price": 25_000}


def test_about_a_price_is_both_sides_of_it() -> None:
    assert bounds("around $20,000") == {"min_price": 18_000, "max_price": 22_000}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2021 or newer", {"min_year": 2021}),
        ("2021+", {"min_year": 2021}),
        ("since 2021", {"min_year": 2021}),
        ("newer than 2020", {"min_year": 2021}),
        ("2018 or older", {"max_year": 2018}),
        ("before 2018", {"max_year": 2017}),
        ("under 2018", {"max_year": 2017}),
        ("up to 2018", {"max_year": 2018}),
        ("2023 camry", {"min_year": 2023, "max_year": 2023}),
        ("2019-2022", {"min_year": 2019, "max_year": 2022}),
        ("between 2022 and 2019", {"min_year": 2019, "max_year": 2022}),
        ("2019 - 2022", {"min_year": 2019, "max_year": 2022}),
    ],
)
def test_a_year_is_that_year_unless_a_word_says_otherwise(text: str, found: Bounds) -> None:
    assert bounds(text) == found


@pytest.mark.parametrize(
    "text",
    ["less than 40,000 miles", "under 40k miles", "40,000 miles or less", "40 thousand mi", "mileage under 40000"],
)
def test_a_mileage_is_the_most_that_is_wanted(text: str) -> None:
    assert bounds(text) == {"max_mileage": 40_000}


@pytest.mark.parametrize(
    ("text", "seats"),
    [
        ("7 seats", 7),
        ("a 7-seater", 7),
        ("seats 8", 8),
        ("room for seven", 7),
        ("family of five", 5),
        ("8 passenger", 8),
        ("third row", 6),
        ("three rows", 6),
        ("seating for 7", 7),
    ],
)
def test_seats_are_the_fewest_that_are_wanted(text: str, seats: int) -> None:
    assert bounds(text) == {"min_seats": seats}


@pytest.mark.parametrize(
    "text",
    [
        "$400 a month",
        "400/month",
        "$2,000 down",
        "30 mpg",
        "300 miles of range",
        "20 miles away",
        "call 555-0142",
        "(217) 555-0142",
        "under 30 minutes",
        "at 3 pm",
        "over 100,000 miles",
        "100k or more miles",
        "f-150",
        "silverado 1500",
        "model 3",
        "cx-5",
        "30000",
        "5 or 6",
        "5 to 6",
        "around 5",
        "from 3",
        "over 40",
        "3 max",
        "1,000,000,000,000",
        "no numbers",
        "",
    ],
)
def test_what_we_cannot_search_by_is_no_bound(text: str) -> None:
    assert bounds(text) == {}


def test_several_are_read_from_one_message_and_the_rest_is_left() -> None:
    found, rest = read("a 7-seater  suv from 2019 to 2022\nunder 40k, less than 60,000 miles")
    assert found == {
        "min_seats": 7,
        "min_year": 2019,
        "max_year": 2022,
        "max_price": 40_000,
        "max_mileage": 60_000,
    }
    assert [part for part in rest.split() if part != ","] == ["a", "suv"]


def test_a_model_keeps_its_number() -> None:
    assert read("f-150 or cx-5 under 30k") == ({"max_price": 30_000}, "f-150 or cx-5  , ")


NUMBERISH = st.text("0123456789$,.k -+\nmilesunderaforyt", max_size=40)


@given(NUMBERISH)
def test_whatever_is_written_gives_bounds_that_a_search_takes(text: str) -> None:
    found, rest = read(text)
    assert all(0 <= value <= MOST for value in found.values())
    assert isinstance(rest, str)
