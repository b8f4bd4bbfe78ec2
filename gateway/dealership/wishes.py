"""What a customer's words ask of the stock: the same words and the same stock always make the same search.

Pure. Numbers are read first, then the longest phrases that the vocabulary knows, then makes and models with one slip of
the finger. What is not understood is left out and never guessed at. A follow-up ("and in blue?") changes the search of
the messages before it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.dealership import wish_numbers
from gateway.dealership.spelling import clean, key, one_edit_apart
from gateway.dealership.vehicle import SearchQuery
from gateway.dealership.vocabulary import Meaning, Vocabulary

Wish = dict[str, Any]
"""Fields of SearchQuery, those that were named."""

MAX_CHARS = 2000
MAX_EARLIER = 10
"""Messages that a follow-up may rest on; what was wished for before is forgotten."""

LONGEST_PHRASE = 5
EMPTY = Vocabulary()

NO_SLIPS = frozenset(
    """
    accept accepts alas anger aura avenue brown candy carry charge charged charges civil clown crow crowd daddy danger
    decent dodged enjoy escaped explore explored fore fort force forced forth forty grown jetty lodge nexus paris pivot
    plot quick range ranges siesta singer verse vogue
    """.split()
)
"""English words one letter away from the name of a make or a model."""

_DASHES = str.maketrans({"\u2019": "'", "\u2013": "-", "\u2014": "-"})
_NEGATED = re.compile(r"\b(?:not|no|without|except|hate|t)(?: (?:want|like|need))?(?: (?:a|an|the|any))?$")
_INSIDE = frozenset({"interior", "leather", "seats", "upholstery", "cloth", "trim", "inside"})
_CUE = re.compile(
    r"^\W*(?:and|or|but|also|only|just|what about|how about|what if|maybe)\b|\b(?:instead|ones?|those|them|these)\b"
)
_NOT_A_WISH = re.compile(r"\bused to\b|\bwhat(?:'s|s| is) new\b|\bnew to\b")
_PART = re.compile(r"[,;!?]|\.\s")
_STOCK = re.compile(r"\bstock\s*(?:number|no\.?|num|#)?\s*:?\s*#?\s*(?P<number>[a-z]{0,3}-?\d[\w-]{2,18})\b")
_TOKEN = re.compile(r"[a-z0-9][a-z0-9_./-]*[a-z0-9]")
_SUBJECTS = ("make", "model", "body_style", "text")


def query_from(message: str, earlier: Sequence[str] = (), vocabulary: Vocabulary = EMPTY) -> SearchQuery | None:
    """The search that `message` asks for; None if it names nothing that can be searched for.

    `earlier` are the customer's messages before it, the oldest first.
    """
    wish: Wish = {}
    for text in (*earlier[-MAX_EARLIER:], message):
        words = clean(text[:MAX_CHARS]).casefold().translate(_DASHES)
        named = _named(words, vocabulary)
        if named:
            wish = _together(wish, named, follows=_CUE.search(words) is not None)
    return SearchQuery.model_validate(wish) if named else None


def _named(words: str, vocabulary: Vocabulary) -> Wish:
    """What one message names."""
    if number := _stock_number(words, vocabulary):
        return {"text": number}
    bounds, rest = wish_numbers.read(_NOT_A_WISH.sub(wish_numbers.GONE, words))
    wish: Wish = dict(_in_order(bounds))
    for part in _PART.split(rest):
        tokens = key(part).split()
        for start, end, meaning in _meanings(tokens, vocabulary):
            if not _is_meant(tokens, start, end, meaning):
                continue
            _note(wish, meaning)
            if meaning.field == "model" and (trim := _trim_behind(tokens[end:], vocabulary)):
                wish["text"] = trim
    return wish


def _stock_number(words: str, vocabulary: Vocabulary) -> str | None:
    """One that we have had, wherever it stands; any that is called one."""
    for token in _TOKEN.findall(words):
        if token.upper() in vocabulary.stock_numbers and any(map(str.isdigit, token)):
            return str(token).upper()
    called = _STOCK.search(words)
    return called["number"].upper() if called else None


def _in_order(bounds: Mapping[str, int]) -> Mapping[str, int]:
    """With the smaller price as the least and the smaller year as the first, however they were named."""
    ordered = dict(bounds)
    for low, high in (("min_price", "max_price"), ("min_year", "max_year")):
        if low in ordered and high in ordered and ordered[low] > ordered[high]:
            ordered[low], ordered[high] = ordered[high], ordered[low]
    return ordered


def _meanings(tokens: Sequence[str], vocabulary: Vocabulary) -> Iterator[tuple[int, int, Meaning]]:
    """Each phrase that means something: where it starts, where it ends, and its meaning. The longest one is taken."""
    start = 0
    while start < len(tokens):
        for end in range(min(len(tokens), start + LONGEST_PHRASE), start, -1):
            meaning = _meaning(" ".join(tokens[start:end]), vocabulary)
            if meaning:
                yield start, end, meaning
                start = end
                break
        else:
            start += 1


def _meaning(phrase: str, vocabulary: Vocabulary) -> Meaning | None:
    for form in (phrase, phrase.removesuffix("s"), phrase.removesuffix("es"), phrase.replace(" ", "")):
        if meaning := vocabulary.phrases.get(form):
            return meaning
    if len(phrase) < 4 or not phrase.isalpha() or phrase in NO_SLIPS:
        return None
    close = {meaning for name, meaning in vocabulary.names.items() if one_edit_apart(phrase, name)}
    return close.pop() if len(close) == 1 else None


def _is_meant(tokens: Sequence[str], start: int, end: int, meaning: Meaning) -> bool:
    """Not what is ruled out ("not a Ford"), and no colour of the seats, which we do not search by."""
    if _NEGATED.search(" ".join(tokens[:start])):
        return False
    return meaning.field != "color" or not _INSIDE.intersection(tokens[end : end + 1])


def _note(wish: Wish, meaning: Meaning) -> None:
    """Of two values for one field the first counts; features add up. A model brings its make."""
    if meaning.field == "features":
        wish["features"] = tuple(dict.fromkeys((*wish.get("features", ()), meaning.value)))
    elif meaning.field == "model":
        if "model" not in wish and wish.get("make") in (None, meaning.make):
            wish |= {"make": meaning.make, "model": meaning.value}
    else:
        wish.setdefault(meaning.field, meaning.value)


def _trim_behind(tokens: Sequence[str], vocabulary: Vocabulary) -> str | None:
    """A trim level counts right behind its model: many are common words ("Sport", "Limited")."""
    for count in range(min(3, len(tokens)), 0, -1):
        if trim := vocabulary.trim_keys.get(" ".join(tokens[:count])):
            return trim
    return None


def _together(before: Wish, named: Wish, *, follows: bool) -> Wish:
    """A search after the message that follows: a new one where it names another subject, else the old one changed."""
    new_subject = any(subject in named for subject in _SUBJECTS) and not follows
    by_number = "text" in before and "model" not in before
    if new_subject or by_number or ("text" in named and "model" not in named):
        return named
    kept = {field: value for field, value in before.items() if field not in _replaced_by(named)}
    if "features" in named:
        named = named | {"features": tuple(dict.fromkeys((*kept.get("features", ()), *named["features"])))}
    return kept | named


def _replaced_by(named: Wish) -> set[str]:
    """What of the old search gives way: a new model to all that said which car, a new bound to both bounds."""
    gone: set[str] = set()
    if "model" in named:
        gone |= set(_SUBJECTS)
    elif "make" in named or "body_style" in named:
        gone |= {"model", "text"}
    for what in ("price", "year"):
        if f"min_{what}" in named or f"max_{what}" in named:
            gone |= {f"min_{what}", f"max_{what}"}
    return gone
