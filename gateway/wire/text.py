"""Plain text: what a page reads from the body with a TextDecoder.

The format has no place for an error after the first byte. A broken answer is therefore torn, never ended cleanly:
`fail` has nothing to send, and the connection is closed without the end of its body. Nor has it one for who speaks and
which tools are used: the headers say the first, and a client that wants the rest asks for `text/event-stream`.
"""

from collections.abc import Sequence

from gateway.errors import GatewayError
from gateway.events import Event, Text


class TextEncoder:
    """The text of an answer, as UTF-8."""

    content_type = "text/plain; charset=utf-8"
    headers: Sequence[tuple[str, str]] = ()

    def encode(self, events: Sequence[Event]) -> bytes:
        """The text that these events add."""
        return "".join([event.text for event in events if isinstance(event, Text)]).encode("utf-8", "replace")

    def end(self) -> bytes:
        """A whole text simply ends."""
        return b""

    def fail(self, error: GatewayError) -> bytes | None:
        """None: there is nothing to say that a reader would not take for the answer."""
        return None
