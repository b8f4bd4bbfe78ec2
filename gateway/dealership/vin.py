"""The check digit of a vehicle identification number, as 49 CFR 565.15 (c) defines it for North America.

Pure. A number from elsewhere need not have one, so a digit that is wrong is suspicious and no proof.
"""

VALUES = dict(zip("0123456789ABCDEFGHJKLMNPRSTUVWXYZ", "012345678912345678123457923456789", strict=True))
WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
CHECK_DIGIT_AT = 8


def check_digit(vin: str) -> str:
    """What should stand in the ninth place of a number of 17 capitals and digits without I, O and Q."""
    rest = sum(int(VALUES[character]) * weight for character, weight in zip(vin, WEIGHTS, strict=True)) % 11
    return "X" if rest == 10 else str(rest)


def has_valid_check_digit(vin: str) -> bool:
    """Whether the ninth place holds it. A slip in one place, or two neighbours swapped, is nearly always found."""
    return vin[CHECK_DIGIT_AT] == check_digit(vin)
