"""Answers that are the same for everybody, kept by what was asked. Pure: the time is passed in.

Exact, on the normalised message: a question that only resembles another is another. Promises: a tenant never sees
another's entry; an answer about an older stock is never given as fresh; the entries never take more than the bound.
"""

import re
import unicodedata
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

ENTRY_OVERHEAD_BYTES = 600
"""Measured, of an entry with an empty text: the key's strings and tuple, the answer, and the table's own slots."""

_SPACE = re.compile(r"\s+")
_OUTER = " .,;:!?'\"()[]*~-\u00a1\u00bf\u2013\u2014\u2018\u2019\u201c\u201d\u2026"


def normalise(message: str) -> str:
    """The message without what never changes its meaning: case, width, spaces, and the signs around it.

    Numbers, and signs inside of it ("cx-5", "3.5"), stay.
    """
    folded = unicodedata.normalize("NFKC", message).casefold()
    return _SPACE.sub(" ", folded).strip(_OUTER)


@dataclass(frozen=True, slots=True)
class Key:
    """What an answer depends on. The versions are those of the instructions and of the stock."""

    tenant: str
    route: str
    prompt_version: str
    stock_version: int
    message: str


def key_of(tenant: str, route: str, prompt_version: str, stock_version: int, message: str) -> Key:
    """The key of a message as the customer wrote it."""
    return Key(tenant, route, prompt_version, stock_version, normalise(message))


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """A whole answer: who generated it, and when, in seconds on the caller's clock."""

    text: str
    served_by: str
    stored_at: float
    finish_reason: str = "stop"
    usage: Mapping[str, Any] = field(default_factory=dict)


def storable(
    *,
    first_turn: bool,
    sensitive: bool,
    ttl_s: float,
    temperature: float,
    max_temperature: float,
    whole: bool,
    resumed: bool,
    finish_reason: str | None,
    changed: bool,
    tools_failed: bool,
) -> bool:
    """Whether an answer may be kept: one that anybody who asks the same may get, and that nothing is wrong with."""
    for_everybody = first_turn and not sensitive and not changed
    faultless = whole and not resumed and not tools_failed and finish_reason == "stop"
    return for_everybody and faultless and ttl_s > 0 and temperature <= max_temperature


class AnswerCache:
    """Kept by use: what was not asked for the longest goes first."""

    def __init__(self, max_bytes: int, max_entry_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._max_entry_bytes = max_entry_bytes
        # The stock's version is in the entry and not in the table's key: a newer answer takes the older one's place.
        self._entries: OrderedDict[Key, tuple[int, CachedAnswer]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """What the entries take, keys and all."""
        return self._bytes

    def fresh(self, key: Key, now: float, ttl_s: float) -> CachedAnswer | None:
        """The answer, if it is younger than `ttl_s` and of this very stock."""
        found = self._entries.get(_place(key))
        if found is None or found[0] != key.stock_version or now - found[1].stored_at >= ttl_s:
            return None
        self._entries.move_to_end(_place(key))
        return found[1]

    def stale(self, key: Key, now: float, max_age_s: float, *, any_stock: bool = False) -> CachedAnswer | None:
        """The answer of a former hour, for when nobody else has one. `any_stock` takes one about an older stock too."""
        found = self._entries.get(_place(key))
        if found is None or now - found[1].stored_at >= max_age_s:
            return None
        return found[1] if any_stock or found[0] == key.stock_version else None

    def store(self, key: Key, answer: CachedAnswer) -> None:
        """Keeps an answer, unless it is too long."""
        place = _place(key)
        self._forget(place)
        size = _size(place, answer)
        if len(answer.text.encode("utf-8", "replace")) > self._max_entry_bytes or size > self._max_bytes:
            return
        self._entries[place] = (key.stock_version, answer)
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._forget(next(iter(self._entries)))

    def forget_tenant(self, tenant: str) -> None:
        """Drops all that is kept for a tenant."""
        for place in [place for place in self._entries if place.tenant == tenant]:
            self._forget(place)

    def _forget(self, place: Key) -> None:
        found = self._entries.pop(place, None)
        if found is not None:
            self._bytes -= _size(place, found[1])


def _place(key: Key) -> Key:
    return replace(key, stock_version=0)


def _size(place: Key, answer: CachedAnswer) -> int:
    texts = (place.tenant, place.route, place.prompt_version, place.message, answer.text)
    return ENTRY_OVERHEAD_BYTES + sum(len(text.encode("utf-8", "replace")) for text in texts)
