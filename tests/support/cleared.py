"""What it takes to ask the cloud: a clearance, made by the privacy step itself, and a ledger that a test can read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.privacy.clearance import Cleared, clear_for_cloud
from gateway.privacy.label import CloudPolicy, Label

BODY: Mapping[str, Any] = {
    "messages": [
        {"role": "system", "content": "You are Scout."},
        {"role": "user", "content": "Which of your trucks tows the most?"},
    ],
    "max_tokens": 64,
    "temperature": 0.2,
}


def cleared(body: Mapping[str, Any] = BODY) -> Cleared:
    """The capability for a body without personal data."""
    made = clear_for_cloud(
        body, label=Label.CLEAR, policy=CloudPolicy.CLEAR_ONLY, tenant="summit", conversation="c0ffee"
    )
    assert made is not None
    return made


@dataclass(frozen=True)
class Entry:
    """One record, as it was asked for."""

    tenant: str
    conversation: str
    label: str
    request_id: str
    model: str
    body: bytes


@dataclass
class Recorder:
    """Satisfies `gateway.upstreams.egress.Ledger`. `on_append` runs before an entry is there, and may raise."""

    entries: list[Entry] = field(default_factory=list)
    on_append: Callable[[], None] = lambda: None

    async def append(
        self, *, tenant: str, conversation: str, label: str, request_id: str, model: str, body: bytes
    ) -> int:
        self.on_append()
        self.entries.append(Entry(tenant, conversation, label, request_id, model, body))
        return len(self.entries)
