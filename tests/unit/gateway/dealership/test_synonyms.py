"""The words of the trade, and what they stand for."""

from typing import get_args

import pytest

from gateway.dealership import synonyms, vehicle
from gateway.dealership.synonyms import canonical, color_family


@pytest.mark.parametrize(
    ("table", "word", "name"),
    [
        (synonyms.MAKES, "chevy", "Chevrolet"),
        (synonyms.MAKES, "Beamer", "BMW"),
        (synonyms.MAKES, "VW", "Volkswagen"),
        (synonyms.BODY_STYLES, "Pickups", "truck"),
        (synonyms.BODY_STYLES, "coup\u00e9", "coupe"),
        (synonyms.BODY_STYLES, "Coupes", "coupe"),
        (synonyms.BODY_STYLES, "hatches", "hatchback"),
        (synonyms.FUEL_TYPES, "EVs", "electric"),
        (synonyms.FUEL_TYPES, "Plug-In Hybrid", "plug-in hybrid"),
        (synonyms.COLORS, "Grey", "gray"),
        (synonyms.DRIVETRAINS, "4x4", "4WD"),
        (synonyms.CONDITIONS, "pre-owned", "used"),
    ],
)
def test_a_word_is_known_in_any_case_and_in_the_plural(table: synonyms.Table, word: str, name: str) -> None:
    assert canonical(table, word) == name


def test_a_word_that_is_not_there_has_no_name() -> None:
    assert canonical(synonyms.BODY_STYLES, "spaceship") is None


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (synonyms.BODY_STYLES, vehicle.BodyStyle),
        (synonyms.FUEL_TYPES, vehicle.FuelType),
        (synonyms.CONDITIONS, vehicle.Condition),
        (synonyms.TRANSMISSIONS, vehicle.Transmission),
        (synonyms.DRIVETRAINS, vehicle.Drivetrain),
    ],
)
def test_a_table_has_all_that_a_vehicle_can_be_and_nothing_else(table: synonyms.Table, values: object) -> None:
    assert set(table.values()) == set(get_args(values))


@pytest.mark.parametrize(
    ("paint", "family"),
    [("Magnetic Gray Metallic", "gray"), ("midnight blue", "blue"), ("Silver Blue", "blue"), ("Lunar Rock", None)],
)
def test_a_paint_has_the_family_that_its_last_plain_word_names(paint: str, family: str | None) -> None:
    assert color_family(paint) == family
