"""What each kind of personal data looks like, and what proves it: patterns, check digits, and the words around.

For `gateway.privacy.detector`, which folds the text before and sorts what is found. Pure, and linear in the text's
length; cheap looks decide which patterns are worth it.
"""

import re
from collections.abc import Iterator

from gateway.privacy import checksums, patterns
from gateway.privacy.kinds import Kind
from gateway.privacy.names import GIVEN, NOT_NAMES, STREET_STOP

NEAR = 48
"""Characters before a number in which a word may say what it is."""

_DIGIT = re.compile(r"\d")
_THREE_DIGITS = re.compile(r"\d\D{0,3}\d\D{0,3}\d")

Spans = Iterator[tuple[int, int, Kind]]
"""Start, end and kind of each piece."""


def each(text: str) -> Spans:
    """Everything that is found, in no order. Cheap looks first: most messages have neither digits nor names."""
    lower = text.lower()
    if "@" in text:
        yield from _emails(text)
    if (
        " at " in lower
        or "(at)" in lower
        or "[at]" in lower
        or "{at}" in lower
        or "<at>" in lower
        or " arroba " in lower
    ):
        yield from _all(patterns.EMAIL_SPOKEN, text, Kind.EMAIL)
    if _DIGIT.search(text):
        yield from _numbers(text, lower)
    yield from _secrets(text, lower)
    yield from _names(text, lower)
    if any(word in lower for word in ("one ", "five ", "zero ", "eight ", "two ")):
        yield from _all(patterns.PHONE_SPOKEN, text, Kind.PHONE)


def _numbers(text: str, lower: str) -> Spans:
    if _THREE_DIGITS.search(text):
        yield from _phones(text)
        yield from _cards(text, lower)
        yield from _ssns(text, lower)
        yield from _ibans(text)
        yield from _licences(text, lower)
        yield from _vins(text, lower)
    yield from _addresses(text, lower)
    yield from _births(text, lower)


def _all(pattern: re.Pattern[str], text: str, kind: Kind) -> Spans:
    for match in pattern.finditer(text):
        yield (*match.span(), kind)


def _emails(text: str) -> Spans:
    at = text.find("@")
    while at >= 0:
        start = at
        while start > 0 and at - start < 64 and patterns.EMAIL_LOCAL.match(text[start - 1]):
            start -= 1
        domain = patterns.EMAIL_DOMAIN.match(text, at + 1)
        if start < at and domain is not None:
            yield start, domain.end(), Kind.EMAIL
        at = text.find("@", at + 1)


def _phones(text: str) -> Spans:
    yield from _all(patterns.PHONE_INTERNATIONAL, text, Kind.PHONE)
    yield from _all(patterns.PHONE_US, text, Kind.PHONE)
    yield from _all(patterns.PHONE_PLAIN, text, Kind.PHONE)
    for match in patterns.PHONE_NATIONAL.finditer(text):
        if 9 <= sum(sign.isdigit() for sign in match[0]) <= 12:
            yield (*match.span(), Kind.PHONE)
    for match in patterns.PHONE_LOCAL.finditer(text):
        if patterns.PHONE_WORDS.search(text, max(0, match.start() - NEAR), match.start()):
            yield (*match.span(), Kind.PHONE)


def _cards(text: str, lower: str) -> Spans:
    for match in patterns.CARD.finditer(text):
        digits = "".join(sign for sign in match[0] if sign.isdigit())
        if 13 <= len(digits) <= 19 and checksums.luhn(digits):
            yield (*match.span(), Kind.CARD)
    if "cv" in lower:
        yield from _all(patterns.CARD_CODE, text, Kind.CARD)


def _ssns(text: str, lower: str) -> Spans:
    for match in patterns.SSN.finditer(text):
        if checksums.us_ssn(match[1], match[3], match[4]):
            yield (*match.span(), Kind.US_SSN)
    if "ss" in lower or "social" in lower:
        for match in patterns.SSN_NAMED.finditer(text):
            if checksums.us_ssn(match[1], match[2], match[3]):
                yield match.start(1), match.end(), Kind.US_SSN
        yield from _all(patterns.SSN_LAST, text, Kind.US_SSN)


def _ibans(text: str) -> Spans:
    for match in patterns.IBAN_START.finditer(text):
        length = checksums.IBAN_LENGTHS.get(match[0][:2].upper())
        if length is None:
            continue
        signs: list[str] = []
        end = match.start()
        while end < len(text) and len(signs) < length and (text[end].isalnum() or text[end] in " -"):
            if text[end].isalnum():
                signs.append(text[end].upper())
            end += 1
        candidate = "".join(signs)
        if candidate.isascii() and checksums.iban(candidate):
            yield match.start(), end, Kind.IBAN


def _licences(text: str, lower: str) -> Spans:
    yield from _all(patterns.LICENCE_FORM, text, Kind.DRIVERS_LICENCE)
    if "licen" in lower or "dl" in lower or "d/l" in lower or "führerschein" in lower or "permi" in lower:
        for match in patterns.LICENCE_NAMED.finditer(text):
            if sum(sign.isdigit() for sign in match[1]) >= 4:
                yield (*match.span(1), Kind.DRIVERS_LICENCE)


def _vins(text: str, lower: str) -> Spans:
    named = patterns.VIN_NAMED.search(text) is not None
    for match in patterns.VIN.finditer(text):
        candidate = match[0].upper()
        digits = sum(sign.isdigit() for sign in candidate)
        if digits < len(candidate) and digits >= 3 and (named or checksums.vin(candidate)):
            yield (*match.span(), Kind.VIN)
    if "vin" in lower:
        for match in patterns.VIN_SPACED.finditer(text):
            if sum(sign.isdigit() for sign in match[1]) >= 3:
                yield (*match.span(1), Kind.VIN)


def _addresses(text: str, lower: str) -> Spans:
    for match in patterns.STREET.finditer(text):
        words = [word.lower() for word in match[1].replace(".", " ").split()]
        if not words or STREET_STOP.intersection(words) or any(word.isdigit() for word in words):
            continue
        # "Drive" and "way" are words as well: there the street's name has to look like one, or to be announced.
        named = all(word[0].isupper() for word in match[1].split()) or _announced(text, match.start())
        named |= len(words) > 1 and words[0] in _POINTS
        if match[2] or named:
            yield (*match.span(), Kind.STREET_ADDRESS)
    yield from _all(patterns.STREET_NUMBERED, text, Kind.STREET_ADDRESS)
    if "box" in lower:
        yield from _all(patterns.PO_BOX, text, Kind.STREET_ADDRESS)
    yield from _all(patterns.STREET_ELSEWHERE, text, Kind.STREET_ADDRESS)
    yield from _all(patterns.ADDRESS_NAMED, text, Kind.STREET_ADDRESS)
    yield from _all(patterns.APARTMENT, text, Kind.STREET_ADDRESS)


_ANNOUNCES = re.compile(r"\b(?:live|living|address|house|home|deliver|ship|mail|send|reside|apartment)\b", re.I)


_POINTS = frozenset(("n", "s", "e", "w", "ne", "nw", "se", "sw", "north", "south", "east", "west"))


def _announced(text: str, at: int) -> bool:
    return _ANNOUNCES.search(text, max(0, at - NEAR), at) is not None


def _births(text: str, lower: str) -> Spans:
    if "b" in lower or "n" in lower:
        yield from _all(patterns.BORN, text, Kind.DATE_OF_BIRTH)
        yield from _all(patterns.BORN_AFTER, text, Kind.DATE_OF_BIRTH)


_NO_SECRET = frozenset(
    "not no wrong incorrect required needed expired invalid the a an my your too so very being case like that this it "
    "what working forgotten lost reset changed there protected still always never one important weak strong secure for "
    "on in".split()
)


_SECRET_HINTS = ("pass", "pwd", "pin", "wort", "key", "tok", "code", "contras", "secret", "mot de", "security")


def _secrets(text: str, lower: str) -> Spans:
    if any(hint in lower for hint in _SECRET_HINTS):
        for match in patterns.SECRET_NAMED.finditer(text):
            if match[1].lower().rstrip(".!?;:") not in _NO_SECRET:
                yield (*match.span(1), Kind.CREDENTIAL)
        yield from _all(patterns.PIN_BARE, text, Kind.CREDENTIAL)
    yield from _all(patterns.KEYS, text, Kind.CREDENTIAL)
    if "-----" in text:
        yield from _all(patterns.KEY_BLOCK, text, Kind.CREDENTIAL)
    if "bearer" in lower:
        yield from _all(patterns.BEARER, text, Kind.CREDENTIAL)


def _names(text: str, lower: str) -> Spans:
    for match in patterns.NAME_STRONG.finditer(text):
        first = match[1].lower().strip(".-'")
        if first not in NOT_NAMES or (first in GIVEN):
            yield match.start(1), match.end(), Kind.NAME_SELF
    for match in patterns.NAME_WEAK.finditer(text):
        if _is_introduced(match, text):
            yield match.start(1), match.end(), Kind.NAME_SELF
    if "here" in lower or "speaking" in lower or "calling" in lower:
        for match in patterns.NAME_HERE.finditer(text):
            if _is_given(match[1]) or (match[2] and _is_given(match[2])):
                yield match.start(1), match.end(2) if match[2] else match.end(1), Kind.NAME_SELF


def _is_introduced(match: re.Match[str], text: str) -> bool:
    """Whether "I'm X" gives a name: a given one, or two words that can be nothing else."""
    first, second = match[1], match[2].strip()
    if _is_given(first):
        return True
    if first.lower() in NOT_NAMES or not first[0].isupper() or _is_shouted(text):
        return False
    if patterns.CALLING.match(text[match.end(1) :]) or patterns.ADDRESSED.match(match[0]):
        return True
    plausible = second[:1].isupper() and second.lower() not in NOT_NAMES and not first.lower().endswith(("ing", "ed"))
    return bool(second) and plausible and not any(sign.isdigit() for sign in first + second)


def _is_given(word: str) -> bool:
    return word.strip().lower() in GIVEN


def _is_shouted(text: str) -> bool:
    """Whether capitals mean nothing here."""
    letters = [sign for sign in text if sign.isalpha()]
    return sum(sign.isupper() for sign in letters) > len(letters) * 0.7
