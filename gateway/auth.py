"""Who is calling: the bearer key of a request, turned into a caller.

Keys are kept and compared as SHA-256 digests, every one of them at every call, so that the time it takes tells
nothing about how much of a key was right.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.errors import Unauthenticated

_NAME = re.compile("([a-z][a-z0-9-]{0,31}):")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who the key says it is. `key_id` names the key in logs without giving it away: 8 hex digits of its digest.

    `tenant` is whose key it is: conversations, cached answers and appointments belong to it. A key with a name, as in
    `website:the-key`, can be replaced by another of that name; one without is its own tenant.
    """

    key_id: str
    tenant: str


class Keyring:
    """The keys that let a client in. Several are valid at once, so that one can be rotated out."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = tuple(_named(key) for key in keys)

    def authenticate(self, authorization: str | None) -> Caller:
        """The caller behind an Authorization header. Raises Unauthenticated."""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Unauthenticated("No API key was sent. Send it as the header 'Authorization: Bearer <key>'.")
        given = _digest(key.strip())
        matches = [(name, digest) for name, digest in self._keys if hmac.compare_digest(digest, given)]
        if not matches:
            raise Unauthenticated("This API key is not valid. Ask the gateway's operator for one.")
        name, digest = matches[0]
        key_id = digest[:4].hex()
        return Caller(key_id, name or key_id)


def split_name(key: str) -> tuple[str, str]:
    """A key as the operator writes it, apart: its name, or "", and what the client sends."""
    found = _NAME.match(key)
    return (found[1], key[found.end() :]) if found else ("", key)


def _named(key: str) -> tuple[str, bytes]:
    name, secret = split_name(key)
    return name, _digest(secret)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
