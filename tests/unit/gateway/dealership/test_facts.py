"""The database's own answer: every figure from a row, and the search told as it was made."""

import re

import pytest

from gateway.dealership import facts
from gateway.dealership.vehicle import Found, SearchQuery, Total
from tests.unit.gateway.dealership.cars import car

RAV4 = car("T1042", make="Toyota", model="RAV4", trim="XLE", exterior_color="white", mileage=21_400, price=31_980)


def query(**values: object) -> SearchQuery:
    return SearchQuery.model_validate(values)


def test_several_matches_are_counted_and_the_best_named() -> None:
    found = Found(4, (RAV4, car()), query(body_style="SUV", fuel_type="hybrid", max_price=35_000))
    assert facts.render(found) == (
        "We have 4 vehicles that match (hybrid SUV, up to $35,000). Best matches: "
        "2023 Toyota RAV4 XLE, white, 21,400 miles, $31,980 (stock T1042); "
        "2023 Honda CR-V EX-L, blue, 17,250 miles, $33,450 (stock H4821)."
    )


def test_one_match_is_one_vehicle() -> None:
    assert facts.render(Found(1, (RAV4,), query(text="T1042"))) == (
        'We have 1 vehicle that matches ("T1042"): 2023 Toyota RAV4 XLE, white, 21,400 miles, $31,980 (stock T1042).'
    )


def test_no_match_is_said_plainly_with_what_was_searched() -> None:
    assert facts.render(Found(0, (), query(color="orange", make="Honda", body_style="minivan"))) == (
        "We have no vehicle in stock that matches (orange Honda minivan). "
        "I looked through everything that is available now."
    )


def test_a_search_that_leaves_everything_open_is_not_described() -> None:
    assert facts.render(Found(2, (RAV4, car()), query(sort="price"))).startswith(
        "We have 2 vehicles that match. The lowest prices: 2023 Toyota"
    )
    assert facts.describe(query(sort="mileage", limit=3)) == ""


@pytest.mark.parametrize(
    ("sort", "lead"), [("mileage", "The fewest miles: "), ("year", "The newest: "), ("best", "Best matches: ")]
)
def test_the_order_is_named(sort: str, lead: str) -> None:
    assert lead in facts.render(Found(2, (RAV4, car()), query(sort=sort)))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"max_price": 35_000}, "up to $35,000"),
        ({"min_price": 20_000}, "from $20,000 up"),
        ({"min_price": 20_000, "max_price": 25_000}, "from $20,000 to $25,000"),
        ({"min_year": 2021}, "of 2021 or newer"),
        ({"max_year": 2018}, "of 2018 or older"),
        ({"min_year": 2019, "max_year": 2022}, "of 2019 to 2022"),
        ({"min_year": 2023, "max_year": 2023}, "of 2023"),
        ({"max_mileage": 40_000}, "up to 40,000 miles"),
        ({"min_seats": 7}, "7 or more seats"),
        ({"features": ("AWD", "sunroof")}, "with AWD and sunroof"),
        ({"condition": "used", "make": "Honda", "model": "CR-V"}, "used Honda CR-V"),
        ({"max_price": 0}, "up to $0"),
    ],
)
def test_a_search_is_described_as_it_was_made(values: dict[str, object], words: str) -> None:
    assert facts.describe(query(**values)) == words


def test_one_mile_is_one_mile() -> None:
    assert "1 mile," in facts.line(car(mileage=1))
    assert "0 miles," in facts.line(car(mileage=0))


def test_every_figure_stands_in_a_row_or_in_the_search() -> None:
    found = Found(12, (RAV4, car()), query(max_price=35_000, min_year=2020))
    known = {"12", "35,000", "2020"}
    for vehicle in found.vehicles:
        known |= {str(vehicle.year), f"{vehicle.mileage:,}", f"{vehicle.price:,}"}
    figures = set(re.findall(r"(?<![\w-])\d[\d,]*\d(?!\w)", facts.render(found)))
    assert figures == known


@pytest.mark.parametrize(
    ("total", "words"),
    [
        (Total(0, 0, 0), "We have no vehicles in stock at the moment."),
        (Total(1, 8_390, 8_390), "We have 1 vehicle in stock, at $8,390. What are you looking for?"),
    ],
)
def test_an_unclear_question_hears_what_there_is(total: Total, words: str) -> None:
    assert facts.when_unclear(total) == words


def test_an_unclear_question_hears_how_many_and_from_which_price_to_which() -> None:
    assert facts.when_unclear(Total(1_229, 8_390, 74_780)).startswith(
        "We have 1,229 vehicles in stock, from $8,390 to $74,780. "
    )
