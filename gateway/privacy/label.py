"""The label of what is said, clear or sensitive, and what a route lets reach the cloud. Pure."""

from collections.abc import Iterable
from enum import StrEnum

from gateway.privacy.detector import Detector, find

MAX_CHARS = 64 * 1024
"""A judgment: more than that is not looked through while a customer waits, and is sensitive."""


class Label(StrEnum):
    """What was ever said in a conversation."""

    CLEAR = "clear"
    SENSITIVE = "sensitive"


class CloudPolicy(StrEnum):
    """What of a route's conversations may reach the cloud."""

    NEVER = "never"
    CLEAR_ONLY = "clear-only"
    REDACTED = "redacted"


def label_of(texts: Iterable[str], detector: Detector = find) -> Label:
    """Sensitive if anything is found in any of the texts, if there is too much of them, or if the detector fails."""
    left = MAX_CHARS
    try:
        for text in texts:
            left -= len(text)
            if left < 0 or detector(text):
                return Label.SENSITIVE
    except Exception:  # noqa: BLE001  # whatever it is: what could not be looked at counts as sensitive
        return Label.SENSITIVE
    return Label.CLEAR
