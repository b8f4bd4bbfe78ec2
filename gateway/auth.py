"""Who is calling: the bearer key of a request, turned into a caller.

Keys are kept and compared as SHA-256 digests, every one of them at every call, so that the time it takes tells
nothing about how much of a key was right.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.errors import Unauthenticated


@dataclass(frozen=True, slots=True)
class Caller:
    """Who the key says it is. `key_id` names the key in logs without giving it away: 8 hex digits of its digest."""

    key_id: str


class Keyring:
    """The keys that let a client in. Several are valid at once, so that one can be rotated out."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = tuple(_digest(key) for key in keys)

    def authenticate(self, authorization: str | None) -> Caller:
        """The caller behind an Authorization header. Raises Unauthenticated."""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Unauthenticated("No API key was sent. Send it as the header 'Authorization: Bearer <key>'.")
        given = _digest(key.strip())
        matches = [digest for digest in self._digests if hmac.compare_digest(digest, given)]
        if not matches:
            raise Unauthenticated("This API key is not valid. Ask the gateway's operator for one.")
        return Caller(matches[0][:4].hex())


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
