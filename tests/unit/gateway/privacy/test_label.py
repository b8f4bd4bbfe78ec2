"""A conversation is as sensitive as any of its texts, and what cannot be looked at is sensitive."""

from collections.abc import Sequence

from gateway.privacy.kinds import Finding
from gateway.privacy.label import MAX_CHARS, Label, label_of


def broken(text: str) -> Sequence[Finding]:
    raise RecursionError


def test_a_conversation_is_as_sensitive_as_any_of_its_texts() -> None:
    assert label_of([]) is Label.CLEAR
    assert label_of(["any SUVs?", "under 30k"]) is Label.CLEAR
    assert label_of(["any SUVs?", "mail jane@example.com"]) is Label.SENSITIVE


def test_a_detector_that_fails_finds_everything() -> None:
    assert label_of(["hi"], broken) is Label.SENSITIVE


def test_more_than_can_be_looked_at_is_sensitive() -> None:
    assert label_of(["a" * MAX_CHARS]) is Label.CLEAR
    assert label_of(["a" * MAX_CHARS, "b"]) is Label.SENSITIVE
