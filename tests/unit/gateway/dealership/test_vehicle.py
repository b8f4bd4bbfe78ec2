"""What is a vehicle, and what may be asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.dealership.vehicle import MAX_FEATURES, SearchQuery, Vehicle
from tests.unit.gateway.dealership.cars import VIN, car


def query(**values: object) -> SearchQuery:
    return SearchQuery.model_validate(values)


# ---- a vehicle


def test_a_stock_number_and_a_vin_are_in_capitals() -> None:
    vehicle = car(" h4821 ", vin=VIN.lower())
    assert (vehicle.stock_number, vehicle.vin) == ("H4821", VIN)


def test_its_name_is_year_make_model_and_trim() -> None:
    assert car().name == "2023 Honda CR-V EX-L"
    assert car(trim=None).name == "2023 Honda CR-V"


def test_text_is_cleaned_of_what_nobody_can_see() -> None:
    vehicle = car(make="Hon\u200bda", description="One\nowner.\x00", features=["heated\tseats"])
    assert (vehicle.make, vehicle.description, vehicle.features) == ("Honda", "One owner.", ("heated seats",))


def test_a_feature_that_is_named_twice_is_there_once() -> None:
    assert car(features=["Sunroof", "AWD", "sunroof"]).features == ("Sunroof", "AWD")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stock_number", "two words"),
        ("stock_number", ""),
        ("stock_number", "x" * 21),
        ("vin", "IOQ" + VIN[3:]),
        ("vin", VIN[1:]),
        ("condition", "old"),
        ("year", 1899),
        ("year", 2101),
        ("make", "\u200b"),
        ("model", "x" * 61),
        ("body_style", "spaceship"),
        ("fuel_type", "coal"),
        ("mileage", -1),
        ("price", 0),
        ("price", None),
        ("seats", 0),
        ("features", ["x"] * 2 + [str(n) for n in range(MAX_FEATURES)]),
        ("description", "x" * 1001),
        ("status", "stolen"),
        ("wheels", 4),
    ],
)
def test_a_value_that_no_vehicle_has_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        car(**{field: value})


def test_a_vehicle_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        car().price = 1  # type: ignore[misc]


def test_a_vehicle_survives_json() -> None:
    vehicle = car(vin=VIN, features=["sunroof"])
    assert Vehicle.model_validate_json(vehicle.model_dump_json()) == vehicle


# ---- a search


@pytest.mark.parametrize(
    ("field", "written", "meant"),
    [
        ("max_price", "$30,000", 30_000),
        ("max_price", "30k", 30_000),
        ("min_year", "2021", 2021),
        ("max_mileage", "40,000 miles", 40_000),
        ("max_price", 30_000.0, 30_000),
        ("limit", "3", 3),
        ("make", "chevy", "Chevrolet"),
        ("make", "Lada", "Lada"),
        ("body_style", "pickups", "truck"),
        ("fuel_type", "EV", "electric"),
        ("color", "Magnetic Grey", "gray"),
        ("color", "Lunar  Rock", "Lunar Rock"),
        ("condition", "pre-owned", "used"),
        ("features", "sunroof, heated seats,", ("sunroof", "heated seats")),
        ("features", ["AWD"], ("AWD",)),
    ],
)
def test_what_a_model_fills_in_is_understood(field: str, written: object, meant: object) -> None:
    assert getattr(query(**{field: written}), field) == meant


def test_an_empty_value_leaves_the_field_open() -> None:
    blank = {
        "make": "",
        "model": " ",
        "text": "\u200b",
        "max_price": None,
        "features": None,
        "sort": None,
        "limit": None,
    }
    assert query(**blank) == SearchQuery()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_price", "cheap"),
        ("max_price", True),
        ("max_price", -1),
        ("max_price", float("nan")),
        ("max_price", 20_000_000),
        ("min_year", [2020]),
        ("limit", 0),
        ("limit", 21),
        ("make", 5),
        ("color", 5),
        ("features", 5),
        ("sort", "beauty"),
        ("text", "x" * 201),
        ("wheels", 4),
    ],
)
def test_what_cannot_be_searched_for_is_refused_by_its_name(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        query(**{field: value})


@pytest.mark.parametrize(("low", "high"), [("min_price", "max_price"), ("min_year", "max_year")])
def test_bounds_that_nothing_can_be_between_are_refused(low: str, high: str) -> None:
    assert query(**{low: 2000, high: 2000}) is not None
    with pytest.raises(ValidationError, match=f"{low} is 2001 and {high} is 2000"):
        query(**{low: 2001, high: 2000})


def test_a_search_is_made_of_an_object_only() -> None:
    with pytest.raises(ValidationError, match="dictionary"):
        SearchQuery.model_validate(["make"])


def test_a_search_can_be_made_from_another() -> None:
    asked = query(make="Honda", features=["AWD"])
    assert SearchQuery.model_validate(asked) == asked


@given(
    st.dictionaries(st.sampled_from(sorted(SearchQuery.model_fields)), st.one_of(st.text(), st.integers(), st.none()))
)
def test_whatever_is_filled_in_is_a_search_or_an_error_with_words(values: dict[str, object]) -> None:
    try:
        asked = SearchQuery.model_validate(values)
    except ValidationError as error:
        assert error.errors()
    else:
        assert 1 <= asked.limit <= 20
