"""The numbers of a customer's message: prices, years, mileage and seats, as bounds of a search.

Pure. Rules are tried in order, and each takes what it has understood out of the text, so that "40,000 miles" is no
price and "$400 a month" is nothing that we can search by. Without a word that says otherwise a price or a mileage is
the most that is wanted, and a year is that year.
"""

import re
from collections.abc import Callable
from functools import partial
from re import Match

from gateway.dealership.amounts import spoken

Bounds = dict[str, int]

MOST = 10_000_000
ABOUT = 0.1
"""A judgment: "around $20,000" is taken as 10 % on both sides."""

THIRD_ROW_SEATS = 6
"""A vehicle with a third row has six seats at least."""

GONE = " , "
"""What stands in the place of what was understood: words on both sides of it are no phrase."""

_NUMBER_WORDS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
_N = r"(?<![\w.-])(?P<seats>[2-9]|1[0-5]|two|three|four|five|six|seven|eight|nine)"
_YEAR = r"(?P<{0}>(?:19[5-9]|20[0-4])\d)(?![\d,.]*\d|k\b|\s?(?:miles|mi|dollars|bucks|thousand)\b)"
_AMOUNT = (
    r"(?P<{0}>(?:\$\s?)?(?<![\w.,{1}])(?:\d{{1,3}}(?:,\d{{3}})+|\d{{1,9}}(?:\.\d{{1,3}})?)(?!\d|,\d|\.\d)"
    r"\s?(?:k\b|thousand\b|grand\b)?)"
)
_ALONE = r"(?<![\w$,.-])"
_Y, _FIRST, _LAST = _ALONE + _YEAR.format("year"), _ALONE + _YEAR.format("first"), _YEAR.format("last")
_A, _LOW, _HIGH = _AMOUNT.format("amount", "-"), _AMOUNT.format("low", "-"), _AMOUNT.format("high", "")
_DOLLARS = r"(?P<dollars>\s?(?:dollars|bucks|usd)\b)?"
_AT_MOST = (
    r"(?:under|below|beneath|within|(?:less|fewer|lower|cheaper|no more|not more) than|up to|at most|not over|"
    r"max(?:imum)?(?: of)?|(?:my )?budget(?: is| of| around)?:?|spend(?:ing)?(?: up to)?)\s+(?:an? |about |around )?"
)
_AT_LEAST = (
    r"(?:over|above|(?:more|greater) than|at least|no less than|starting (?:at|from)|from|min(?:imum)?(?: of)?|"
    r"upwards of)\s+"
)
_OR_LESS = r"\s*(?:(?:or|and) (?:less|fewer|under|below|lower|cheaper)|max(?:imum)?\b|tops\b|budget\b)"
_OR_MORE = r"\s*(?:\+|(?:or|and) (?:more|up|over|above|higher)\b)"
_MILES = r"\s*(?:miles?\b|mi\b|mileage\b)"
_NOT_OURS = (
    r"\s*(?:dollars |bucks )?(?:\+ ?|or (?:more|better|less) )?"
    r"(?:(?:a|per|each|every|/) ?(?:months?|mo|weeks?|wk|years?|yr)\b|monthly\b|weekly\b|down\b|mpg\b|"
    r"miles per gallon\b|(?:miles? of |mile )range\b|miles? (?:away|from)\b|hp\b|horsepower\b|lbs?\b|pounds\b|"
    r"%|percent\b|minutes?\b|hours?\b|days?\b|weeks?\b|months?\b|years?\b|am\b|pm\b|o'clock\b)"
)


def _value(text: str, other_end: str = "") -> int:
    """An amount in full. A bare number takes the thousands of the other end of its range: "20 to 25 thousand"."""
    amount = spoken(text)
    if amount < 1000 and other_end[-1:].isalpha():
        amount *= 1000
    return min(amount, MOST)


def _is_money(match: Match[str], *names: str) -> bool:
    """Whether a dollar sign, a unit or the size says so. Years have been taken out of the text before."""
    texts = [match[name] for name in names]
    marked = any("$" in text or text[-1].isalpha() for text in texts) or bool(match.groupdict().get("dollars"))
    return marked or all(spoken(text) >= 1000 for text in texts)


def _nothing(match: Match[str]) -> Bounds:
    return {}


def _seats(match: Match[str]) -> Bounds:
    text = match["seats"]
    return {"min_seats": _NUMBER_WORDS.get(text) or int(text)}


def _third_row(match: Match[str]) -> Bounds:
    return {"min_seats": THIRD_ROW_SEATS}


def _years(match: Match[str]) -> Bounds:
    return _ordered("year", int(match["first"]), int(match["last"]))


def _from_year(match: Match[str]) -> Bounds:
    return {"min_year": int(match["year"])}


def _after_year(match: Match[str]) -> Bounds:
    return {"min_year": int(match["year"]) + 1}


def _until_year(match: Match[str]) -> Bounds:
    return {"max_year": int(match["year"])}


def _before_year(match: Match[str]) -> Bounds:
    return {"max_year": int(match["year"]) - 1}


def _that_year(match: Match[str]) -> Bounds:
    return {"min_year": int(match["year"]), "max_year": int(match["year"])}


def _max_mileage(match: Match[str]) -> Bounds:
    return {"max_mileage": _value(match["amount"])}


def _prices(match: Match[str]) -> Bounds | None:
    if not _is_money(match, "low", "high"):
        return None
    return _ordered("price", _value(match["low"], match["high"]), _value(match["high"]))


def _max_price(match: Match[str]) -> Bounds | None:
    return {"max_price": _value(match["amount"])} if _is_money(match, "amount") else None


def _bare_max_price(match: Match[str]) -> Bounds:
    """ "under 30", with nothing behind it that 30 could count, is $30,000."""
    return {"max_price": int(match["thousands"]) * 1000}


def _min_price(match: Match[str]) -> Bounds | None:
    return {"min_price": _value(match["amount"])} if _is_money(match, "amount") else None


def _about_price(match: Match[str]) -> Bounds | None:
    if not _is_money(match, "amount"):
        return None
    amount = _value(match["amount"])
    return {"min_price": round(amount * (1 - ABOUT)), "max_price": round(amount * (1 + ABOUT))}


def _marked_price(match: Match[str]) -> Bounds | None:
    """A price that stands alone must be marked as one: "150" is a model, and so is "1500"."""
    text = match["amount"]
    return _max_price(match) if "$" in text or text[-1].isalpha() or match["dollars"] else None


def _ordered(what: str, one: int, other: int) -> Bounds:
    return {f"min_{what}": min(one, other), f"max_{what}": max(one, other)}


_Meaning = Callable[[Match[str]], Bounds | None]
_RULES: tuple[tuple[re.Pattern[str], _Meaning], ...] = tuple(
    (re.compile(pattern), meaning)
    for pattern, meaning in (
        (r"\(?\b\d{3}\)?[-. ]\d{3}[-. ]\d{4}\b|\b\d{3}-\d{4}\b", _nothing),  # a telephone number
        (_A + _NOT_OURS, _nothing),
        (_N + r"[\s-]*(?:seats?|seaters?|passengers?|people|persons|adults)\b", _seats),
        (
            r"\b(?:seats?|seating|room|space|family)\s+(?:for |of |at least )?" + _N + r"\b(?! ?(?:k|thousand)\b)",
            _seats,
        ),
        (r"\b(?:third|3rd)[\s-]rows?\b|\b(?:three|3)[\s-]rows?\b", _third_row),
        (rf"(?:\b(?:between|from)\s+)?{_FIRST}\s*(?:-|to|and|through|thru)\s*{_LAST}", _years),
        (rf"\b(?:newer than|after|later than)\s+(?:an? )?{_Y}", _after_year),
        (rf"\b(?:older than|before|earlier than|under|below)\s+(?:an? )?{_Y}", _before_year),
        (rf"\b(?:since|from|at least|min(?:imum)?)\s+(?:an? )?{_Y}(?: on(?:wards?)?\b)?", _from_year),
        (rf"\b(?:up to|until|no newer than|at most)\s+(?:an? )?{_Y}", _until_year),
        (rf"{_Y}(?: models?)?\s*(?:\+|(?:or|and) (?:newer|later|up|above|younger)\b|onwards?\b)", _from_year),
        (rf"{_Y}(?: models?)?\s*(?:or|and) (?:older|earlier|before)\b", _until_year),
        (_Y, _that_year),
        (rf"\b{_AT_LEAST}{_A}{_MILES}", _nothing),
        (rf"{_A}{_OR_MORE}{_MILES}", _nothing),
        (rf"(?:\b{_AT_MOST})?{_A}(?: (?:or|and) (?:less|fewer))?{_MILES}(?:{_OR_LESS})?", _max_mileage),
        (rf"\b(?:mileage|miles|odometer)\s+(?:is |of )?{_AT_MOST}{_A}", _max_mileage),
        (rf"(?:\b(?:between|from)\s+)?{_LOW}\s*(?:-|to|and)\s*{_HIGH}{_DOLLARS}", _prices),
        (rf"\b(?:around|about|approximately|roughly|near|close to)\s+{_A}{_DOLLARS}", _about_price),
        (rf"\b{_AT_MOST}{_A}{_DOLLARS}", _max_price),
        (rf"{_A}{_DOLLARS}{_OR_LESS}", _max_price),
        (rf"\b{_AT_LEAST}{_A}{_DOLLARS}", _min_price),
        (rf"{_A}{_DOLLARS}{_OR_MORE}", _min_price),
        (rf"\b{_AT_MOST}(?P<thousands>[1-9]\d|1\d\d)(?=\s*(?:$|[?!.,;]))", _bare_max_price),
        (_A + _DOLLARS, _marked_price),
    )
)


def read(text: str) -> tuple[Bounds, str]:
    """The bounds that `text`, in small letters, names; and the text without what they were read from."""
    bounds: Bounds = {}
    text = " ".join(text.split())
    for pattern, meaning in _RULES:
        text = pattern.sub(partial(_taken, meaning, bounds), text)
    return bounds, text


def _taken(meaning: _Meaning, bounds: Bounds, match: Match[str]) -> str:
    found = meaning(match)
    if found is None:
        return match[0]
    bounds.update(found)
    return GONE
