"""Which replica holds which prefix of a prompt, as far as we can know from what we have sent it.

Read before a replica is chosen, written when one has computed a prompt. Pure and in memory. It is a belief: an engine
throws blocks out of its cache without telling. A wrong belief costs a prefill and nothing else. Tenants share no key.

A prompt is cut into blocks, and a block's key stands for all bytes up to its end (as in vLLM's own prefix cache, but
over text: it needs no tokenizer). So a conversation that grows keeps the keys that it had.
"""

import json
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

BLOCK_BYTES = 512
"""About 128 tokens: no finer than what an engine caches by (16 tokens on GPUs, 128 on CPUs) makes worth knowing."""

MAX_BLOCKS = 256
"""128 KiB, about 32k tokens, which is the longest context served. What comes after has no keys."""

BYTES_PER_TOKEN = 4
"""A judgment: English text in a vocabulary of Llama 3's size. Only shares and loads rest on it, never a limit."""

ENTRY_BYTES = 272
"""Of a key without its holders, on 64-bit CPython, at most: the integer 48, its link in the order 32, its tuple's head
56, and its part of the hash table, 42 to 136 depending on how long ago that has grown. The test measures it."""

HOLDER_BYTES = 16
"""Of each holder: a pointer in the tuple, rounded up as the allocator does."""

_KEY_BYTES = 8
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


@dataclass(frozen=True, slots=True)
class PromptKeys:
    """Key i stands for the prompt's first (i + 1) * BLOCK_BYTES bytes; the rest, less than a block, has none."""

    keys: tuple[int, ...]
    total_bytes: int


def estimate_tokens(total_bytes: int) -> int:
    """How many tokens so many bytes of prompt are, about; any prompt has at least one."""
    return max(1, total_bytes // BYTES_PER_TOKEN) if total_bytes else 0


def keys_of(tenant: str, messages: Sequence[Mapping[str, Any]], tools: Any = None) -> PromptKeys:
    """The keys of a prompt. Takes any message that JSON can say; hashes MAX_BLOCKS blocks at most."""
    text = _canonical(messages, tools).encode("utf-8", "surrogatepass")  # JSON can escape half a surrogate pair
    # The chain starts with the tenant. Each link salts the next one, which costs nothing, unlike bytes put before it.
    link = blake2b(tenant.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES).digest()
    view, keys = memoryview(text), []
    for end in range(BLOCK_BYTES, min(len(text), MAX_BLOCKS * BLOCK_BYTES) + 1, BLOCK_BYTES):
        link = blake2b(view[end - BLOCK_BYTES : end], digest_size=_KEY_BYTES, salt=link).digest()
        keys.append(int.from_bytes(link))
    return PromptKeys(tuple(keys), len(text))


class Index:
    """Who holds which key, the least recently used forgotten first.

    Keys of one prompt are moved from its end to its beginning. So the end goes first, as in the engine, and whoever
    holds a key holds all before it.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._size_bytes = 0
        self._holders: OrderedDict[int, tuple[int, ...]] = OrderedDict()
        self._lives: dict[str, int] = {}
        """The number of each replica's present life. Holders are lives, so those of a life that is over mean nobody."""
        self._last_life = 0

    def __len__(self) -> int:
        return len(self._holders)

    @property
    def size_bytes(self) -> int:
        """An estimate of the memory taken; never above `max_bytes`."""
        return self._size_bytes

    def learn(self, keys: PromptKeys, replica: str) -> None:
        """The replica has now computed this prompt."""
        life = self._life(replica)
        living = set(self._lives.values())
        for key in reversed(keys.keys):
            before = self._holders.get(key)
            if before is None:
                self._holders[key] = (life,)
                self._size_bytes += ENTRY_BYTES + HOLDER_BYTES
                continue
            self._holders.move_to_end(key)
            if life not in before:
                after = (*(holder for holder in before if holder in living), life)
                self._holders[key] = after
                self._size_bytes += HOLDER_BYTES * (len(after) - len(before))
        self._shrink()

    def forget(self, replica: str) -> None:
        """The replica has died or started anew, and holds nothing. Its old entries stay until they are the oldest."""
        self._lives.pop(replica, None)

    def held(self, keys: PromptKeys, replicas: Iterable[str]) -> dict[str, int]:
        """Bytes of the prompt that each of these replicas holds, from its beginning; 0 for one that holds nothing."""
        held = dict.fromkeys(replicas, 0)
        for name in held:
            if name in self._lives:
                held[name] = self._blocks_held(keys.keys, self._lives[name]) * BLOCK_BYTES
        return held

    def _blocks_held(self, keys: tuple[int, ...], life: int) -> int:
        """By bisection, since whoever holds a key holds all before it."""
        return bisect_left(keys, True, key=lambda key: life not in self._holders.get(key, ()))

    def _life(self, replica: str) -> int:
        if replica not in self._lives:
            self._last_life += 1
            self._lives[replica] = self._last_life
        return self._lives[replica]

    def _shrink(self) -> None:
        while self._size_bytes > self._max_bytes:
            _, holders = self._holders.popitem(last=False)
            self._size_bytes -= ENTRY_BYTES + HOLDER_BYTES * len(holders)


def _canonical(messages: Sequence[Mapping[str, Any]], tools: Any) -> str:
    r"""The prompt as text: tools first, where chat templates put them, then the messages, their fields in fixed order.

    Fields that no template reads are left out. The separators \0 and \1 are not escaped: who forges them misleads only
    the routing of its own requests.
    """
    pieces = [_text(tools), "\1"]
    for message in messages:
        get = message.get
        pieces += (_text(get("role")), "\0", _text(get("name")), "\0", _text(get("tool_call_id")), "\0")
        pieces += (_text(get("content")), "\0", _text(get("tool_calls")), "\1")
    return "".join(pieces)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else _to_json(value)
