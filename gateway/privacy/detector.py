"""Finds personal data in a text: folds what is written in other signs, looks for each kind, and tells the pieces.

Pure, and linear in the text's length; the kinds are in `gateway.privacy.looks`. `find` may raise on nothing that a
client can send; whoever asks takes a failure for sensitive all the same.
"""

import unicodedata
from collections.abc import Callable, Sequence

from gateway.privacy.kinds import Finding, Kind
from gateway.privacy.looks import Spans, each

Detector = Callable[[str], Sequence[Finding]]

_DASHES = dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212, 0xFE63, 0xFF0D), "-")
_QUOTES = dict.fromkeys((0x2018, 0x2019, 0x02BC, 0x00B4, 0x0060), "'")
_SPACES = dict.fromkeys((0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0xA0, 0x202F, 0x3000, *range(0x2000, 0x200B)), " ")
_PLAIN: dict[int, str] = {**_DASHES, **_QUOTES, **_SPACES}
_ASCII_PLAIN = str.maketrans({"\t": " ", "\n": " ", "\r": " ", "\x0b": " ", "\x0c": " ", "`": "'"})


def find(text: str) -> list[Finding]:
    """What of the text is personal data, in its order; pieces do not overlap."""
    plain, places = folded(text)
    found = _without_overlaps(sorted(each(plain), key=lambda span: (span[0], -span[1], span[2] is Kind.PHONE)))
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


def _without_overlaps(spans: list[tuple[int, int, Kind]]) -> Spans:
    """The spans without what another one covers; two of a kind that overlap are one."""
    last: tuple[int, int, Kind] | None = None
    for start, end, kind in spans:
        if last is None or start >= last[1]:
            if last is not None:
                yield last
            last = start, end, kind
        elif end > last[1]:
            if kind is last[2]:
                last = last[0], end, kind
            else:
                yield last
                last = last[1], end, kind
    if last is not None:
        yield last
