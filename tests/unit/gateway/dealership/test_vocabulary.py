"""The names in the stock, and what a phrase can mean by them."""

import pytest

from gateway.dealership.vocabulary import Meaning, Vocabulary

ROWS = [
    ("Toyota", "RAV4", "XLE", "white"),
    ("Toyota", "RAV4", "XLE", "white"),
    ("Chevrolet", "Silverado 1500", "LT", "Lunar Rock"),
    ("Honda", "Fit", None, "blue"),
    ("Mazda", "Mazda3", "Sport", "blue"),
    ("Mazda", "3", "Sport", "blue"),
    ("Hyundai", "Kona Electric", "SEL", "blue"),
    ("Lada", "Niva", None, "?"),
]
VOCABULARY = Vocabulary.of(ROWS, ["heated seats", "awd", "heated seats"], ["T1042"])


def test_a_vocabulary_has_each_name_once_and_in_order() -> None:
    assert VOCABULARY.makes == ("Chevrolet", "Honda", "Hyundai", "Lada", "Mazda", "Toyota")
    assert VOCABULARY.models[:2] == (("Chevrolet", "Silverado 1500"), ("Honda", "Fit"))
    assert VOCABULARY.trims == ("LT", "SEL", "Sport", "XLE")
    assert VOCABULARY.colors == ("?", "Lunar Rock", "blue", "white")
    assert VOCABULARY.features == ("awd", "heated seats")
    assert VOCABULARY == Vocabulary.of(reversed(ROWS), ["awd", "heated seats"], ["T1042"])


@pytest.mark.parametrize(
    ("phrase", "meaning"),
    [
        ("rav4", Meaning("model", "RAV4", "Toyota")),
        ("toyota rav4", Meaning("model", "RAV4", "Toyota")),
        ("toyo rav4", Meaning("model", "RAV4", "Toyota")),
        ("silverado 1500", Meaning("model", "Silverado 1500", "Chevrolet")),
        ("silverado", Meaning("model", "Silverado", "Chevrolet")),
        ("chevy silverado", Meaning("model", "Silverado", "Chevrolet")),
        ("kona", Meaning("model", "Kona", "Hyundai")),
        ("konaelectric", Meaning("model", "Kona Electric", "Hyundai")),
        ("honda fit", Meaning("model", "Fit", "Honda")),
        ("mazda 3", Meaning("model", "3", "Mazda")),
        ("lada", Meaning("make", "Lada")),
        ("beamer", Meaning("make", "BMW")),
        ("pickup", Meaning("body_style", "truck")),
        ("ev", Meaning("fuel_type", "electric")),
        ("pre owned", Meaning("condition", "used")),
        ("grey", Meaning("color", "gray")),
        ("lunar rock", Meaning("color", "Lunar Rock")),
        ("heated seats", Meaning("features", "heated seats")),
        ("moonroof", Meaning("features", "sunroof")),
        ("all wheel drive", Meaning("features", "AWD")),
        ("cheapest", Meaning("sort", "price")),
    ],
)
def test_a_phrase_means_what_is_in_stock_or_what_the_trade_says(phrase: str, meaning: Meaning) -> None:
    assert VOCABULARY.phrases[phrase] == meaning


@pytest.mark.parametrize("phrase", ["fit", "3", "lunar", "", "xle", "sport", "electric kona"])
def test_a_common_word_a_digit_or_a_trim_alone_means_no_car(phrase: str) -> None:
    assert phrase not in VOCABULARY.phrases


def test_names_that_may_be_misspelt_have_five_letters_and_no_nicknames_among_them() -> None:
    assert {"toyota", "silverado", "honda", "konaelectric"} <= VOCABULARY.names.keys()
    assert not {"rav4", "lada", "kona", "honda fit", "pickup", "white", "beamer"} & VOCABULARY.names.keys()


def test_a_trim_is_found_by_its_key() -> None:
    assert VOCABULARY.trim_keys == {"lt": "LT", "sel": "SEL", "sport": "Sport", "xle": "XLE"}


def test_without_a_stock_the_trade_is_still_understood() -> None:
    phrases = Vocabulary().phrases
    assert phrases["suv"] == Meaning("body_style", "SUV")
    assert "rav4" not in phrases
