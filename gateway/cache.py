"""Answers that are the same for everybody, kept by what was asked. Pure: the time is passed in.

Exact, on the normalised message: a question that only resembles another is another. Between the classification and the
plan, and once more as the last resort. Promises: a tenant never sees another's entry; an answer about another stock is
never given as fresh; the entries never take more than the bound.
"""

import re
import sys
import unicodedata
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ENTRY_OVERHEAD_BYTES = 700
"""Measured on CPython 3.11, the most of any size up to 90,000 entries: what one takes beside its texts, which is the
tuples, the answer, three counts of tokens, and the table's own slots just after it has grown."""

_TYPED = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")
"""Quotes as telephones type them, and as keyboards do."""

_BEFORE = " !?\u00a1\u00bf"
_BEHIND = " .,;:!?\u2026\u3002"
"""Quotes, brackets and dashes are left: 20" is no 20, ":)" is no ":(", and "2019-" is not the year alone."""

_RAISED = re.compile("[\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u2089\u2150-\u215f]")
"""Digits that NFKC would put level with others: a raised 2 after a 5 would make 52."""


def normalise(message: str) -> str:
    """The message without what never changes its meaning: case, width, spaces, and what ends a sentence.

    Numbers, and signs inside of it ("cx-5", "3.5"), stay. Where nothing but signs was written, they are the message.
    """
    message = message.translate(_TYPED)
    form: Literal["NFC", "NFKC"] = "NFC" if _RAISED.search(message) else "NFKC"
    # Once more after the folding, which takes some letters apart.
    folded = unicodedata.normalize(form, unicodedata.normalize(form, message).casefold())
    squeezed = " ".join(folded.split())
    return squeezed.lstrip(_BEFORE).rstrip(_BEHIND) or squeezed


@dataclass(frozen=True, slots=True)
class Key:
    """What an answer depends on. `prompt_version` is that of the instructions; `inventory_version` grows by each change
    of the stock. The model is not in it: it changes with a restart only, and the cache does not outlive one.
    """

    tenant: str
    route: str
    prompt_version: str
    inventory_version: int
    message: str


def key_of(tenant: str, route: str, prompt_version: str, inventory_version: int, message: str) -> Key:
    """The key of a message as the customer wrote it."""
    return Key(tenant, route, prompt_version, inventory_version, normalise(message))


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """A whole answer: the tier that generated it, and when, in seconds on the caller's clock."""

    text: str
    served_by: str
    stored_at: float
    finish_reason: str = "stop"
    usage: Mapping[str, Any] = field(default_factory=dict)


def storable(
    *,
    first_turn: bool,
    sensitive: bool,
    route_ttl_s: float,
    temperature: float,
    max_temperature: float,
    outcome_ok: bool,
    resumed: bool,
    finish_reason: str | None,
    changed: bool,
    tools_failed: bool,
) -> bool:
    """Whether an answer may be kept: one that anybody who asks the same may get, and that nothing is wrong with.

    `sensitive` counts the answer's own text too, and `changed` says that a tool has changed something for its customer.
    """
    for_everybody = first_turn and not sensitive and not changed
    faultless = outcome_ok and not resumed and not tools_failed and finish_reason == "stop"
    return for_everybody and faultless and route_ttl_s > 0 and temperature <= max_temperature


_Place = tuple[str, str, str, str]


class AnswerCache:
    """Kept by use: what was not asked for the longest goes first. Bytes are those in memory."""

    def __init__(self, max_bytes: int, max_entry_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._max_entry_bytes = max_entry_bytes
        # The stock's version is in the entry and not in its place: the newest answer takes the place of older ones.
        self._entries: OrderedDict[_Place, tuple[int, CachedAnswer]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """What the entries take, keys and all."""
        return self._bytes

    def fresh(self, key: Key, now: float, ttl_s: float) -> CachedAnswer | None:
        """The answer, if it is younger than `ttl_s` and of this very stock."""
        return self._find(key, now, ttl_s, any_inventory=False)

    def stale(self, key: Key, now: float, max_stale_s: float, *, any_inventory: bool = False) -> CachedAnswer | None:
        """The answer of a former hour, for when nobody else has one.

        `any_inventory` takes one about an older stock too: only for routes whose answers name nothing of it.
        """
        return self._find(key, now, max_stale_s, any_inventory=any_inventory)

    def store(self, key: Key, answer: CachedAnswer) -> None:
        """Keeps an answer, unless it is too long, or there is one about a newer stock."""
        place = _place(key)
        size = _size(place, answer)
        known = self._entries.get(place)
        outdated = known is not None and known[0] > key.inventory_version
        if outdated or size > min(self._max_entry_bytes, self._max_bytes):
            return
        self._forget(place)
        self._entries[place] = (key.inventory_version, answer)
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._forget(next(iter(self._entries)))

    def forget_tenant(self, tenant: str) -> None:
        """Drops all that is kept for a tenant."""
        for place in [place for place in self._entries if place[0] == tenant]:
            self._forget(place)

    def _find(self, key: Key, now: float, max_age_s: float, *, any_inventory: bool) -> CachedAnswer | None:
        place = _place(key)
        found = self._entries.get(place)
        if found is None:
            return None
        version, answer = found
        # A clock that was set back makes an answer of the future; nobody knows how old that is.
        young = 0 <= now - answer.stored_at < max_age_s
        if not young or not (any_inventory or version == key.inventory_version):
            return None
        self._entries.move_to_end(place)
        return answer

    def _forget(self, place: _Place) -> None:
        known = self._entries.pop(place, None)
        if known is not None:
            self._bytes -= _size(place, known[1])


def _place(key: Key) -> _Place:
    return key.tenant, key.route, key.prompt_version, key.message


def _size(place: _Place, answer: CachedAnswer) -> int:
    return ENTRY_OVERHEAD_BYTES + sum(map(sys.getsizeof, place)) + sys.getsizeof(answer.text)
