"""How the gateway stops: it says so first, finishes what is under way, and ends with an error what takes too long.

After SIGTERM `/readyz` answers 503 while we still listen, so that whoever balances in front of us looks elsewhere
before connections are refused. `gateway.server` has the signals and the timing.
"""

from typing import Protocol

from gateway.errors import Draining, GatewayError


class Stoppable(Protocol):
    """A stream that can be ended with an error of its protocol."""

    def stop(self, error: GatewayError) -> None: ...
    def on_close(self, forget: "Forget") -> None: ...


class Forget(Protocol):
    """Called once when the stream has been closed."""

    def __call__(self) -> None: ...


class Ending:
    """Whether we are stopping, and the streams that are under way."""

    def __init__(self) -> None:
        self.begun = False
        self._over = False
        self._streams: set[Stoppable] = set()

    @property
    def streams(self) -> int:
        """How many are under way."""
        return len(self._streams)

    def begin(self) -> None:
        """From now on we are not ready."""
        self.begun = True

    def watch(self, stream: Stoppable) -> None:
        """This stream is under way, until it is closed."""
        self._streams.add(stream)
        stream.on_close(lambda: self._streams.discard(stream))
        if self._over:  # its request was still waiting when the others were ended
            self._stop(stream)

    def stop_streams(self) -> None:
        """Ends what is still under way, with an error that says why."""
        self._over = True
        for stream in list(self._streams):
            self._stop(stream)

    def _stop(self, stream: Stoppable) -> None:
        stream.stop(Draining("This server is stopping, and the answer took too long to finish. Ask again."))
