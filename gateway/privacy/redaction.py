"""Takes personal data out of a text, and puts it back into the answer to it.

What is found becomes a placeholder such as `[EMAIL_1]`, the same for the same value, so that a model can speak of it.
The answer comes in pieces that may end anywhere: what may be the beginning of a placeholder is held back until it is
known. Promises: no value that was found is in a redacted text; redacting and restoring gives the text back.
"""

import re

from gateway.privacy.detector import Detector, find
from gateway.privacy.kinds import Kind

_PLACEHOLDER = re.compile(r"\[(?:%s)_\d{1,6}\]" % "|".join(kind.upper() for kind in Kind))
LONGEST = max(len(f"[{kind.upper()}_999999]") for kind in Kind)


class Redactor:
    """The placeholders of one request."""

    def __init__(self, detector: Detector = find) -> None:
        self._detector = detector
        self._placeholders: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    @property
    def found(self) -> bool:
        """Whether anything was replaced."""
        return bool(self._placeholders)

    def redact(self, text: str) -> str:
        """The text with placeholders. One that looks like a placeholder already is replaced like a value, so that it
        comes back as it was."""
        spans = [(match.start(), match.end(), "text") for match in _PLACEHOLDER.finditer(text)]
        spans += [(finding.start, finding.end, finding.kind) for finding in self._detector(text)]
        told, reached = "", 0
        for start, end, kind in sorted(spans):
            if end <= reached:
                continue
            start = max(start, reached)
            told += text[reached:start] + self._placeholder(text[start:end], kind)
            reached = end
        return told + text[reached:]

    def restorer(self) -> "Restorer":
        """Puts the values back into one stream."""
        return Restorer({placeholder: value for value, placeholder in self._placeholders.items()})

    def _placeholder(self, value: str, kind: str) -> str:
        if value not in self._placeholders:
            named = Kind.CREDENTIAL if kind == "text" else kind
            self._counts[named] = self._counts.get(named, 0) + 1
            self._placeholders[value] = f"[{named.upper()}_{self._counts[named]}]"
        return self._placeholders[value]


class Restorer:
    """Restores a text that comes in pieces."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values
        self._held = ""

    def feed(self, text: str) -> str:
        """What of the text so far is certain, with its values."""
        text = self._held + text
        begins = text.rfind("[", max(0, len(text) - LONGEST))
        certain = len(text) if begins < 0 or "]" in text[begins:] else begins
        self._held = text[certain:]
        return self._restored(text[:certain])

    def flush(self) -> str:
        """The rest, at the end of the text."""
        held, self._held = self._held, ""
        return self._restored(held)

    def whole(self, text: str) -> str:
        """A text that has come in one piece."""
        return self._restored(text)

    def _restored(self, text: str) -> str:
        return _PLACEHOLDER.sub(lambda match: self._values.get(match[0], match[0]), text)
