"""The capability: who gets it, and that nobody else can make one."""

import copy
import pickle
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.privacy.clearance import Cleared, clear_for_cloud
from gateway.privacy.kinds import Finding
from gateway.privacy.label import MAX_CHARS, CloudPolicy, Label

CLEAR, SENSITIVE = Label.CLEAR, Label.SENSITIVE
SYSTEM = {"role": "system", "content": "You are Scout. Our phone is (555) 555-0100."}
HARMLESS = [SYSTEM, {"role": "user", "content": "Any red SUVs?"}]
PERSONAL = [SYSTEM, {"role": "user", "content": "I'm John Smith, 415-555-0132"}]


def cleared(messages: list[dict[str, Any]], label: Label, policy: CloudPolicy, **how: Any) -> Cleared | None:
    body = {"messages": messages, "temperature": 0.2}
    return clear_for_cloud(body, label=label, policy=policy, tenant="a", conversation="c", **how)


@pytest.mark.parametrize("messages", [HARMLESS, PERSONAL])
@pytest.mark.parametrize("label", Label)
def test_under_never_nothing_is_cleared(messages: list[dict[str, Any]], label: Label) -> None:
    assert cleared(messages, label, CloudPolicy.NEVER) is None


def test_under_clear_only_the_label_and_the_text_must_both_be_clear() -> None:
    made = cleared(HARMLESS, CLEAR, CloudPolicy.CLEAR_ONLY)
    assert made is not None
    assert (made.body["messages"], made.label, made.tenant, made.conversation) == (HARMLESS, "clear", "a", "c")
    assert made.restorer() is None
    assert cleared(HARMLESS, SENSITIVE, CloudPolicy.CLEAR_ONLY) is None
    assert cleared(PERSONAL, CLEAR, CloudPolicy.CLEAR_ONLY) is None, "a label that is out of date lets nothing out"


@pytest.mark.parametrize("label", Label)
def test_under_redacted_what_is_found_is_taken_out(label: Label) -> None:
    made = cleared(PERSONAL, label, CloudPolicy.REDACTED)
    assert made is not None
    assert made.label == "redacted"
    assert made.body["messages"] == [SYSTEM, {"role": "user", "content": "I'm [NAME_SELF_1], [PHONE_1]"}]
    restorer = made.restorer()
    assert restorer is not None
    assert restorer.whole("Thanks, [NAME_SELF_1]!") == "Thanks, John Smith!"


def test_a_sensitive_conversation_leaves_labelled_as_redacted_even_if_nothing_is_found_now() -> None:
    made = cleared(HARMLESS, SENSITIVE, CloudPolicy.REDACTED)
    assert made is not None and made.label == "redacted"
    clear = cleared(HARMLESS, CLEAR, CloudPolicy.REDACTED)
    assert clear is not None and clear.label == "clear"


@pytest.mark.parametrize(
    "message",
    [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"function": {"arguments": '{"phone": "415-555-0132"}'}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": '{"mail": "jane@example.com"}'},
        {"role": "user", "content": [{"type": "text", "text": "jane@example.com"}]},
        {"role": "user", "name": "jane@example.com", "content": "hi"},
    ],
)
def test_every_text_of_every_message_is_looked_at(message: dict[str, Any]) -> None:
    assert cleared([message], CLEAR, CloudPolicy.CLEAR_ONLY) is None
    made = cleared([message], CLEAR, CloudPolicy.REDACTED)
    assert made is not None
    assert "jane" not in str(made.body) and "415" not in str(made.body)


@pytest.mark.parametrize("policy", CloudPolicy)
def test_what_cannot_be_looked_at_does_not_leave(policy: CloudPolicy) -> None:
    def broken(text: str) -> Sequence[Finding]:
        raise RuntimeError

    assert cleared(HARMLESS, CLEAR, policy, detector=broken) is None
    long = [{"role": "user", "content": "a " * MAX_CHARS}]
    assert cleared(long, CLEAR, policy) is None


def test_nobody_else_makes_copies_changes_or_carries_away_a_capability() -> None:
    made = cleared(HARMLESS, CLEAR, CloudPolicy.CLEAR_ONLY)
    assert made is not None
    with pytest.raises(TypeError):
        Cleared(object(), {"messages": PERSONAL}, label="clear", tenant="a", conversation="c", redactor=None)
    for copying in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            copying(made)  # type: ignore[operator]
    with pytest.raises(AttributeError):
        made.label = "clear"
    with pytest.raises(AttributeError):
        del made.label
    with pytest.raises(TypeError):
        type("Forged", (Cleared,), {})


def test_what_was_cleared_is_not_what_others_change_afterwards() -> None:
    messages = [{"role": "user", "content": "Any SUVs?"}]
    made = cleared(messages, CLEAR, CloudPolicy.CLEAR_ONLY)
    assert made is not None
    messages[0]["content"] = "415-555-0132"
    made.body["messages"][0]["content"] = "415-555-0132"
    assert made.body["messages"][0]["content"] == "Any SUVs?"
