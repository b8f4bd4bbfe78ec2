"""A customer's words as a search: what is understood, what is left alone, and what a follow-up changes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dealership.vehicle import SearchQuery
from gateway.dealership.vocabulary import Vocabulary
from gateway.dealership.wishes import query_from

VOCABULARY = Vocabulary.of(
    [
        ("Toyota", "RAV4", "XLE", "white"),
        ("Toyota", "Corolla", "LE", "midnight blue"),
        ("Honda", "CR-V", "EX-L", "Lunar Rock"),
        ("Honda", "Civic", "Sport Touring", "red"),
        ("Ford", "F-150", "Lariat", "gray"),
        ("Ford", "F-150 Lightning", "XLT", "gray"),
        ("Hyundai", "Tucson", "SEL", "green"),
        ("Mazda", "Mazda3", "Sport", "black"),
        ("Kia", "Forte", None, "black"),
        ("Tesla", "Model 3", None, "black"),
        ("Tesla", "Model Y", None, "black"),
    ],
    ["heated seats", "sunroof", "awd"],
    ["T1042", "H4821", "CARS"],
)


def asked(message: str, *earlier: str) -> dict[str, Any] | None:
    """The fields that were named; None if none was."""
    query = query_from(message, earlier, VOCABULARY)
    return None if query is None else query.model_dump(exclude_defaults=True)


# ---- what is understood


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (
            "Which hybrid SUVs do you have under $30,000?",
            {"body_style": "SUV", "fuel_type": "hybrid", "max_price": 30_000},
        ),
        ("chevy trucks", {"make": "Chevrolet", "body_style": "truck"}),
        ("a beamer?", {"make": "BMW"}),
        ("any EVs", {"fuel_type": "electric"}),
        ("grey pickup under 40k", {"color": "gray", "body_style": "truck", "max_price": 40_000}),
        ("gray pick-up", {"color": "gray", "body_style": "truck"}),
        ("between 20 and 25 thousand", {"min_price": 20_000, "max_price": 25_000}),
        ("used, less than 40,000 miles", {"condition": "used", "max_mileage": 40_000}),
        ("over 30k but under 20k", {"min_price": 20_000, "max_price": 30_000}),
        ("from 2022, before 2020", {"min_year": 2019, "max_year": 2022}),
        ("7 seats, AWD and a sunroof", {"min_seats": 7, "features": ("AWD", "sunroof")}),
        ("CRV with all-wheel drive", {"make": "Honda", "model": "CR-V", "features": ("AWD",)}),
        ("cr v", {"make": "Honda", "model": "CR-V"}),
        ("F150", {"make": "Ford", "model": "F-150"}),
        ("a Ford F-150 Lightning", {"make": "Ford", "model": "F-150 Lightning"}),
        ("mazda 3", {"make": "Mazda", "model": "Mazda3"}),
        ("Corollas", {"make": "Toyota", "model": "Corolla"}),
        ("tesla\u2019s model y", {"make": "Tesla", "model": "Model Y"}),
        ("F-150 Lariat", {"make": "Ford", "model": "F-150", "text": "Lariat"}),
        ("civic sport touring in red", {"make": "Honda", "model": "Civic", "text": "Sport Touring", "color": "red"}),
        ("midnight blue", {"color": "blue"}),
        ("lunar rock", {"color": "Lunar Rock"}),
        ("cheapest sedan", {"body_style": "sedan", "sort": "price"}),
        ("the newest", {"sort": "year"}),
        ("Is t1042 still there?", {"text": "T1042"}),
        ("stock number Z-9999, the blue one", {"text": "Z-9999"}),
        ("stock #H123", {"text": "H123"}),
    ],
)
def test_a_wish_becomes_a_search(message: str, named: dict[str, Any]) -> None:
    assert asked(message) == named


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("toyta", {"make": "Toyota"}),
        ("Hunda civc", {"make": "Honda", "model": "Civic"}),
        ("carolla", {"make": "Toyota", "model": "Corolla"}),
        ("tuscon", {"make": "Hyundai", "model": "Tucson"}),
        ("hyundia", {"make": "Hyundai"}),
    ],
)
def test_one_slip_in_a_name_is_forgiven(message: str, named: dict[str, Any]) -> None:
    assert asked(message) == named


@pytest.mark.parametrize("message", ["I was forced to", "by force", "rav", "kias5", "toyoootta", "frod"])
def test_a_word_that_is_no_slip_is_no_name(message: str) -> None:
    assert asked(message) is None


def test_a_slip_that_could_be_either_of_two_names_is_neither() -> None:
    twins = Vocabulary.of([("Lexus", "Lexus", None, "red"), ("Nexus", "One", None, "red")], [], [])
    assert query_from("wexus", (), twins) is None


@pytest.mark.parametrize(
    "message",
    [
        "hello there",
        "thanks!",
        "what's new?",
        "",
        "can I book a test drive tomorrow at 3 pm",
        "$400 a month",
        "xle",
        "sport",
        "cars",
        "\u200b",
    ],
)
def test_what_names_nothing_is_no_search(message: str) -> None:
    assert asked(message) is None


# ---- what is not meant


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("not a Ford, a Honda", {"make": "Honda"}),
        ("I don't want a Ford", None),
        ("an SUV without sunroof", {"body_style": "SUV"}),
        ("No. A red one", {"color": "red"}),
        ("black leather", {"features": ("leather seats",)}),
        ("I used to live here", None),
    ],
)
def test_what_is_ruled_out_is_not_searched_for(message: str, named: dict[str, Any] | None) -> None:
    assert asked(message) == named


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("red or white SUV", {"color": "red", "body_style": "SUV"}),
        ("RAV4 or CR-V", {"make": "Toyota", "model": "RAV4"}),
        ("Ford or Civic", {"make": "Ford"}),
        ("Honda or Ford", {"make": "Honda"}),
    ],
)
def test_of_two_values_the_first_counts_and_they_are_never_mixed(message: str, named: dict[str, Any]) -> None:
    assert asked(message) == named


# ---- follow-ups


@pytest.mark.parametrize(
    ("earlier", "message", "named"),
    [
        pytest.param(
            ["hybrid SUV under 30k"],
            "and in blue?",
            {"body_style": "SUV", "fuel_type": "hybrid", "max_price": 30_000, "color": "blue"},
            id="adds",
        ),
        pytest.param(
            ["hybrid SUV under 30k"],
            "what about a Honda?",
            {"body_style": "SUV", "fuel_type": "hybrid", "max_price": 30_000, "make": "Honda"},
            id="narrows to a make",
        ),
        pytest.param(
            ["hybrid SUV"], "the RAV4 ones", {"fuel_type": "hybrid", "make": "Toyota", "model": "RAV4"}, id="model"
        ),
        pytest.param(["RAV4 XLE in white"], "or a Honda", {"make": "Honda", "color": "white"}, id="another make"),
        pytest.param(["Toyota RAV4"], "only sedans", {"make": "Toyota", "body_style": "sedan"}, id="another body"),
        pytest.param(["SUV from 20k to 30k"], "under 25k", {"body_style": "SUV", "max_price": 25_000}, id="new bound"),
        pytest.param(["2019 SUV"], "2021 or newer", {"body_style": "SUV", "min_year": 2021}, id="new year"),
        pytest.param(
            ["SUV with AWD"],
            "with a sunroof",
            {"body_style": "SUV", "features": ("AWD", "sunroof")},
            id="features add up",
        ),
        pytest.param(["RAV4"], "Ford trucks?", {"make": "Ford", "body_style": "truck"}, id="a new subject"),
        pytest.param(["SUV"], "hello", None, id="nothing named"),
        pytest.param(["hi", "SUV", "thanks"], "in red", {"body_style": "SUV", "color": "red"}, id="chat between"),
        pytest.param(["is T1042 there"], "and in blue?", {"color": "blue"}, id="one vehicle is no search to change"),
        pytest.param(["blue SUV"], "and T1042?", {"text": "T1042"}, id="one vehicle asks for nothing else"),
    ],
)
def test_a_follow_up_changes_the_search_before_it(
    earlier: list[str], message: str, named: dict[str, Any] | None
) -> None:
    assert asked(message, *earlier) == named


def test_what_was_wished_for_long_ago_is_forgotten() -> None:
    assert asked("in blue", "SUV", *["hm"] * 9) == {"body_style": "SUV", "color": "blue"}
    assert asked("in blue", "SUV", *["hm"] * 10) == {"color": "blue"}


# ---- hostile words


def test_a_long_message_is_read_as_far_as_the_bound() -> None:
    assert asked("x " * 1000 + "SUV") is None


WORDS = st.sampled_from(
    """honda civic suv red not under over 30k 25 2019 or newer and what about in stock # T1042 ; DROP TABLE "*" NEAR(
    7 seats between 20 with sunroof cheapest xle , . ? $ miles""".split()
)


@given(st.lists(WORDS, max_size=12), st.lists(st.lists(WORDS, max_size=6), max_size=3))
def test_whatever_is_said_is_a_search_or_none(words: list[str], earlier: list[list[str]]) -> None:
    query = query_from(" ".join(words), [" ".join(message) for message in earlier], VOCABULARY)
    assert query is None or query != SearchQuery()


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    first = query_from(text, [text], VOCABULARY)
    assert first == query_from(text, [text], VOCABULARY)


def test_without_a_stock_the_words_of_the_trade_are_understood() -> None:
    query = query_from("a red SUV")
    assert query is not None
    assert (query.color, query.body_style) == ("red", "SUV")
