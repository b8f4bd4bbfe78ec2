"""The web server, and how it stops: not ready first, then no new connections, then an end to what takes too long."""

import asyncio
import gc
import logging
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from gateway.ending import Ending
from gateway.http_protocol import ScoutProtocol
from gateway.logs import Log, ServerLog
from gateway.settings import Settings

KEEP_ALIVE_S = 75  # longer than the 60 s for which proxies and load balancers keep idle connections
GARBAGE = 10_000
"""Objects that may be made and not be gone before Python looks for cycles among them, 700 by its own default. It is
mostly failures that leave some (an exception holds the frame that holds it), and looking stops everybody's stream."""
ACCEPTS = 8
"""New connections in one turn of the loop, at most. libuv accepts one from each listening socket, and a turn in which a
thousand streams have something to say is long: with one socket the thousandth client waited 17 s. So it gets the one
several times."""
LAST_WORDS_S = 5  # for the errors of streams that were ended to reach their clients


class Server(uvicorn.Server):
    """uvicorn, with a notice before it stops to listen. A second signal, whichever, ends it at once."""

    def __init__(self, config: uvicorn.Config, settings: Settings, ending: Ending) -> None:
        super().__init__(config)
        self._shutdown = settings.shutdown
        self._ending = ending
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: "list[object] | None" = None) -> None:  # type: ignore[override]  # not typed alike
        """Remembers the loop, since signals come from outside of it."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)  # type: ignore[arg-type]

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM or SIGINT."""
        if self._loop is None:
            super().handle_exit(sig, frame)
            return
        self._captured_signals.append(sig)
        if self._ending.begun:
            self.should_exit = self.force_exit = True
            return
        self._ending.begin()
        self._loop.call_soon_threadsafe(self._begin_to_stop)

    def _begin_to_stop(self) -> None:
        assert self._loop is not None  # noqa: S101  # this runs in it
        self._loop.call_later(self._shutdown.notice_s, self._stop_listening)

    def _stop_listening(self) -> None:
        assert self._loop is not None  # noqa: S101  # this runs in it
        self.should_exit = True
        self._loop.call_later(self._shutdown.grace_s, self._ending.stop_streams)


def serve(app: ASGIApp, settings: Settings, log: Log, ending: Ending) -> None:
    """Runs until SIGTERM or SIGINT."""
    server_log = logging.getLogger("uvicorn")
    server_log.handlers = [ServerLog(log)]
    server_log.propagate = False
    server_log.setLevel(logging.INFO)
    config = uvicorn.Config(
        app,
        host=settings.listen.host,
        port=settings.listen.port,
        loop="uvloop",
        http=ScoutProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # no client's address is used or logged
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(settings.shutdown.grace_s) + LAST_WORDS_S,
    )
    # What is loaded by now stays. Without this each full collection walks it all, in the middle of somebody's stream.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE, 10, 10)
    listener = config.bind_socket()
    Server(config, settings, ending).run([listener, *(listener.dup() for _ in range(ACCEPTS - 1))])
