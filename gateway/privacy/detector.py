"""Finds personal data in a text: forms that are recognised by patterns, and proved where they carry a proof.

Pure, and linear in the text's length: what looks like data is found by one pass of a pattern, and cheap looks decide
which patterns are worth it. `find` may raise on nothing that a client can send; whoever asks takes a failure for
sensitive all the same.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from gateway.privacy import checksums, patterns
from gateway.privacy.kinds import Finding, Kind
from gateway.privacy.names import GIVEN, NOT_NAMES, STREET_STOP

Detector = Callable[[str], Sequence[Finding]]

NEAR = 48
"""Characters before a number in which a word may say what it is."""

_DASHES = dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212, 0xFE63, 0xFF0D), "-")
_QUOTES = dict.fromkeys((0x2018, 0x2019, 0x02BC, 0x00B4, 0x0060), "'")
_SPACES = dict.fromkeys((0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0xA0, 0x202F, 0x3000, *range(0x2000, 0x200B)), " ")
_PLAIN: dict[int, str] = {**_DASHES, **_QUOTES, **_SPACES}
_ASCII_PLAIN = str.maketrans({"\t": " ", "\n": " ", "\r": " ", "\x0b": " ", "\x0c": " ", "`": "'"})
_DIGIT = re.compile(r"\d")
_THREE_DIGITS = re.compile(r"\d\D{0,3}\d\D{0,3}\d")

Spans = Iterator[tuple[int, int, Kind]]


def find(text: str) -> list[Finding]:
    """What of the text is personal data, in its order; pieces do not overlap."""
    plain, places = folded(text)
    found = _without_overlaps(sorted(_each(plain), key=lambda span: (span[0], -span[1])))
    if places is None:
        return [Finding(start, end, kind) for start, end, kind in found]
    return [Finding(places[start], places[end - 1] + 1, kind) for start, end, kind in found]


def excepting(public: Sequence[str], detector: Detector = find) -> Detector:
    """The detector for a business whose own address and numbers are `public`: they are no customer's data."""
    known = [phrase for phrase in public if phrase]

    def look(text: str) -> Sequence[Finding]:
        for phrase in known:
            # As long as before, so that what is found stands where it stood.
            text = text.replace(phrase, "." * len(phrase))
        return detector(text)

    return look


def folded(text: str) -> tuple[str, list[int] | None]:
    """The text in plain signs, and where each of them stood; None where that has not changed."""
    if text.isascii():
        return text.translate(_ASCII_PLAIN), None
    signs: list[str] = []
    places: list[int] = []
    for place, sign in enumerate(text):
        code = ord(sign)
        if code < 0x80:
            plain = sign.translate(_ASCII_PLAIN)
        elif code in _PLAIN:
            plain = _PLAIN[code]
        elif unicodedata.category(sign) in ("Cf", "Mn"):
            continue  # zero-width signs and loose accents split nothing
        else:
            plain = unicodedata.normalize("NFKC", sign)
        signs.append(plain)
        places += [place] * len(plain)
    return "".join(signs), places


def _each(text: str) -> Spans:
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
    if " " in text and ("one" in lower or "five" in lower or "zero" in lower or "eight" in lower or "two" in lower):
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
        signs, end = [], match.start()
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
        if match[2] or named:
            yield (*match.span(), Kind.STREET_ADDRESS)
    yield from _all(patterns.STREET_NUMBERED, text, Kind.STREET_ADDRESS)
    if "box" in lower:
        yield from _all(patterns.PO_BOX, text, Kind.STREET_ADDRESS)
    yield from _all(patterns.STREET_ELSEWHERE, text, Kind.STREET_ADDRESS)
    yield from _all(patterns.ADDRESS_NAMED, text, Kind.STREET_ADDRESS)
    yield from _all(patterns.APARTMENT, text, Kind.STREET_ADDRESS)


_ANNOUNCES = re.compile(r"\b(?:live|living|address|house|home|deliver|ship|mail|send|reside|apartment)\b", re.I)


def _announced(text: str, at: int) -> bool:
    return _ANNOUNCES.search(text, max(0, at - NEAR), at) is not None


def _births(text: str, lower: str) -> Spans:
    if "b" in lower or "n" in lower:
        yield from _all(patterns.BORN, text, Kind.DATE_OF_BIRTH)
        yield from _all(patterns.BORN_AFTER, text, Kind.DATE_OF_BIRTH)


_NO_SECRET = frozenset(
    "not no wrong incorrect required needed expired invalid the a an my your too so very being case like that this it what "
    "working forgotten lost reset changed there protected still always never one important weak strong secure for on in".split()
)


def _secrets(text: str, lower: str) -> Spans:
    if (
        "pass" in lower
        or "pwd" in lower
        or "pin" in lower
        or "wort" in lower
        or "key" in lower
        or "tok" in lower
        or ("code" in lower or "contras" in lower or "secret" in lower or "mot de" in lower or "security" in lower)
    ):
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
    if patterns.CALLING.match(text, match.end(1)):
        return True
    plausible = second[:1].isupper() and second.lower() not in NOT_NAMES and not first.lower().endswith(("ing", "ed"))
    return bool(second) and plausible and not any(sign.isdigit() for sign in first + second)


def _is_given(word: str) -> bool:
    return word.strip().lower() in GIVEN


def _is_shouted(text: str) -> bool:
    """Whether capitals mean nothing here."""
    letters = [sign for sign in text if sign.isalpha()]
    return sum(sign.isupper() for sign in letters) > len(letters) * 0.7


def _without_overlaps(spans: list[tuple[int, int, Kind]]) -> Spans:
    reached = 0
    for start, end, kind in spans:
        if end > reached:
            yield max(start, reached), end, kind
            reached = end
