"""The check digit of a vehicle identification number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dealership.vin import VALUES, check_digit, has_valid_check_digit
from tests.unit.gateway.dealership.cars import VIN

VINS = st.text("".join(VALUES), min_size=17, max_size=17)


def test_seventeen_ones_have_the_check_digit_one() -> None:
    """The example that is in every description of the rule, since each weight counts once."""
    assert has_valid_check_digit("1" * 17)


def test_a_rest_of_ten_is_an_x() -> None:
    assert check_digit("1M8GDM9A_KP042788".replace("_", "0")) == "X"


def test_a_slip_is_found() -> None:
    assert has_valid_check_digit(VIN)
    assert not has_valid_check_digit(VIN[:-1] + "5")


@given(VINS)
def test_one_of_eleven_digits_is_right(vin: str) -> None:
    right = [digit for digit in "0123456789X" if has_valid_check_digit(vin[:8] + digit + vin[9:])]
    assert right == [check_digit(vin)]


@pytest.mark.parametrize("vin", ["1" * 16, "1" * 18])
def test_another_length_is_no_number(vin: str) -> None:
    with pytest.raises(ValueError, match="zip"):
        check_digit(vin)
