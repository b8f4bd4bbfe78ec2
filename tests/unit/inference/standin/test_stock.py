from random import Random

import pytest

from inference.standin.stock import CATALOGUE, COLORS, invent_vehicle, models_of, with_article


@pytest.mark.parametrize("below", [14_000, 30_000, 70_000])
def test_no_vehicle_costs_more_than_asked(below: int) -> None:
    rng = Random(1)
    assert all(invent_vehicle(rng, below=below).price < below for _ in range(2_000))


def test_a_vehicle_says_the_same_in_words_and_as_a_row() -> None:
    rng = Random(2)
    for _ in range(200):
        vehicle = invent_vehicle(rng)
        row = vehicle.row()
        for value in (
            f"${row['price']:,}",
            f"{row['mileage']:,} miles",
            row["stock_number"],
            row["color"],
            row["trim"],
        ):
            assert value in vehicle.full
        assert row["color"] in COLORS


def test_models_below_a_price_exclude_the_dear_ones() -> None:
    cheap = models_of("SUV", below=30_000)
    assert {model.full_name for model in cheap} >= {"Honda CR-V", "Kia Sportage"}
    assert "Chevrolet Tahoe" not in {model.full_name for model in cheap}
    assert all(model.body_style == "SUV" for model in cheap)


def test_no_two_models_share_a_name() -> None:
    assert len({model.name for model in CATALOGUE}) == len(CATALOGUE)


@pytest.mark.parametrize(
    ("words", "expected"),
    [("SUV", "an SUV"), ("sedan", "a sedan"), ("orange car", "an orange car"), ("2021 Kia Forte", "a 2021 Kia Forte")],
)
def test_the_article_follows_the_sound(words: str, expected: str) -> None:
    assert with_article(words) == expected
