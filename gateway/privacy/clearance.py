"""The capability to send something to the cloud. Only `clear_for_cloud` makes one, and the cloud's client takes nothing
else; so whatever retry, fallback, race or resume leads there, it leads through here.

It looks once more at every text that would leave, so that a label that is out of date lets nothing out. Promises: under
`never` nothing is cleared, under `clear-only` nothing of a sensitive conversation or with a finding in it, under
`redacted` nothing that was found; a detector that fails clears nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, NoReturn

from gateway.privacy.detector import Detector, find
from gateway.privacy.label import MAX_CHARS, CloudPolicy, Label
from gateway.privacy.redaction import Redactor, Restorer

CLEAR = "clear"
REDACTED = "redacted"

_SEAL = object()


class Cleared:
    """What may be sent, and for whom. It cannot be made, copied or unpickled by anybody else."""

    __slots__ = ("_body", "_redactor", "conversation", "label", "tenant")

    def __init__(
        self,
        seal: object,
        body: Mapping[str, Any],
        *,
        label: str,
        tenant: str,
        conversation: str,
        redactor: Redactor | None,
    ) -> None:
        if seal is not _SEAL:
            raise TypeError("only the privacy step clears what goes to the cloud: see clear_for_cloud")
        object.__setattr__(self, "_body", deepcopy(dict(body)))
        object.__setattr__(self, "label", label)
        object.__setattr__(self, "tenant", tenant)
        object.__setattr__(self, "conversation", conversation)
        object.__setattr__(self, "_redactor", redactor)

    @property
    def body(self) -> dict[str, Any]:
        """A copy of what was cleared: changing it changes nothing here."""
        body: dict[str, Any] = deepcopy(self._body)
        return body

    def restorer(self) -> Restorer | None:
        """What puts the values back into the answer; None where nothing was taken out."""
        return None if self._redactor is None else self._redactor.restorer()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("what was cleared does not change")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("what was cleared does not change")

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("there is one capability, and no kinds of it")

    def __copy__(self) -> NoReturn:
        raise TypeError("a capability is not copied")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("a capability is not copied")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a capability does not leave its process")


def clear_for_cloud(
    body: Mapping[str, Any],
    *,
    label: Label,
    policy: CloudPolicy,
    tenant: str,
    conversation: str,
    detector: Detector = find,
) -> Cleared | None:
    """The capability for this body, or None. `conversation` is its hash; `label` is what is known of it so far.

    Of the body the messages are looked at: the instructions and the tools are ours.
    """
    if policy is CloudPolicy.NEVER or (policy is CloudPolicy.CLEAR_ONLY and label is not Label.CLEAR):
        return None
    try:
        redactor = Redactor(detector)
        messages = [_redacted(message, redactor) for message in body["messages"]]
        too_long = sum(len(text) for message in body["messages"] for text in _texts(message)) > MAX_CHARS
    except Exception:  # noqa: BLE001  # whatever it is: what could not be looked at does not leave
        return None
    if too_long:
        return None
    if not redactor.found and label is Label.CLEAR:
        return Cleared(_SEAL, body, label=CLEAR, tenant=tenant, conversation=conversation, redactor=None)
    if policy is not CloudPolicy.REDACTED:
        return None
    redacted = {**body, "messages": messages}
    return Cleared(_SEAL, redacted, label=REDACTED, tenant=tenant, conversation=conversation, redactor=redactor)


def _redacted(message: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    if message.get("role") == "system":
        return dict(message)
    return {name: value if name == "role" else _through(value, redactor) for name, value in message.items()}


def _through(value: Any, redactor: Redactor) -> Any:
    """The value with every text in it redacted, however deep it stands."""
    if isinstance(value, str):
        return redactor.redact(value)
    if isinstance(value, Mapping):
        return {name: _through(inner, redactor) for name, inner in value.items()}
    if isinstance(value, Sequence):
        return [_through(inner, redactor) for inner in value]
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _texts(inner)
