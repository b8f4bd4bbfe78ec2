"""Plain text: what a page reads from the body with a TextDecoder.

The format has no place for an error after the first byte. A broken answer is therefore torn, never ended cleanly:
`fail` has nothing to send, and the connection is closed without the end of its body.
"""

from collections.abc import Sequence

from gateway.errors import GatewayError
from gateway.ports import Chunk


class TextEncoder:
    """The content of the first choice, as UTF-8."""

    content_type = "text/plain; charset=utf-8"

    def encode(self, chunks: Sequence[Chunk]) -> bytes:
        """The text that these chunks add."""
        return "".join([chunk.text for chunk in chunks]).encode("utf-8", "replace")

    def end(self) -> bytes:
        """A whole text simply ends."""
        return b""

    def fail(self, error: GatewayError) -> bytes | None:
        """None: there is nothing to say that a reader would not take for the answer."""
        return None
