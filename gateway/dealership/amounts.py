"""Whole numbers as people and spreadsheets write them: "$31,980", "30k", "40,000 miles", "31980.00".

Pure. `written` is for files, where a slip must be seen, and takes one exact number only; `spoken` is for what a
customer or a model means, and knows thousands.
"""

import re

_WRITTEN = re.compile(
    r"\$? ?(?P<digits>\d{1,3}(?:,\d{3})+|\d{1,12})(?:\.0{1,2})?(?: ?(?:miles|mi|usd))?", re.IGNORECASE
)
_SPOKEN = re.compile(
    r"\$? ?(?P<digits>\d{1,3}(?:,\d{3})+|\d{1,12})(?P<fraction>\.\d{1,3})? ?(?P<thousands>k|thousand|grand)?"
    r"(?: ?(?:miles|mi|usd|dollars|bucks|seats))?",
    re.I,
)


def written(text: str) -> int:
    """The number that a cell holds. Raises ValueError where it is none, is not whole, or is negative."""
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a whole number")
    return int(found["digits"].replace(",", ""))


def spoken(text: str) -> int:
    """The number that words mean; a fraction counts in thousands ("30.5k") and is cut off else. Raises ValueError."""
    found = _SPOKEN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a number such as 30000, $30,000 or 30k")
    number = int(found["digits"].replace(",", ""))
    if not found["thousands"]:
        return number
    thousandths = (found["fraction"] or ".").removeprefix(".").ljust(3, "0")
    return number * 1000 + int(thousandths)
