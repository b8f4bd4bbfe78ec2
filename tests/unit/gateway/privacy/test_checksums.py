"""Check digits and the rules of who issues a number, by published examples and by their one-digit neighbours."""

import pytest

from gateway.privacy import checksums

CARDS = ("4111111111111111", "5500000000000004", "378282246310005", "6011111111111117", "30569309025904")
IBANS = ("DE89370400440532013000", "GB82WEST12345698765432", "FR1420041010050500013M02606", "NO9386011117947")
VINS = ("1HGCM82633A004352", "1M8GDM9AXKP042788", "11111111111111111")


def neighbours(text: str) -> list[str]:
    """The text with one digit one higher, at each place."""
    return [text[:at] + str((int(sign) + 1) % 10) + text[at + 1 :] for at, sign in enumerate(text) if sign.isdigit()]


@pytest.mark.parametrize("card", CARDS)
def test_luhn_holds_and_for_no_neighbour(card: str) -> None:
    assert checksums.luhn(card)
    assert not any(checksums.luhn(other) for other in neighbours(card))


@pytest.mark.parametrize("iban", IBANS)
def test_an_iban_holds_and_no_neighbour_does(iban: str) -> None:
    assert checksums.iban(iban)
    assert not any(checksums.iban(other) for other in neighbours(iban))


@pytest.mark.parametrize("text", ["DE8937040044053201300", "XX89370400440532013000", "DEA9370400440532013000", ""])
def test_what_has_no_iban_s_form_is_none(text: str) -> None:
    assert not checksums.iban(text)


@pytest.mark.parametrize("vin", VINS)
def test_a_vin_proves_itself_by_its_ninth_sign(vin: str) -> None:
    assert checksums.vin(vin)
    assert not checksums.vin(vin[:8] + ("0" if vin[8] != "0" else "1") + vin[9:])


@pytest.mark.parametrize(
    ("number", "good"),
    [
        ("078-05-1120", True),
        ("899-01-0001", True),
        ("000-12-3456", False),
        ("666-12-3456", False),
        ("900-12-3456", False),
        ("123-00-4567", False),
        ("123-45-0000", False),
    ],
)
def test_numbers_that_are_never_issued_are_no_ssn(number: str, good: bool) -> None:
    assert checksums.us_ssn(*number.split("-")) is good
