"""One entry per request: opened when it arrives, settled once when it ends, however it ends.

Settling writes the one log line of the request and counts it in the metrics. It is synchronous, so that a cancelled
request is settled too.
"""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from gateway.errors import ClientGone, GatewayError, InternalError
from gateway.logs import Log
from gateway.metrics import Metrics
from gateway.ports import Clock

OK = "ok"


class Booking:
    """What becomes known of one answer on its way: whoever works on it writes it down here."""

    def __init__(self, endpoint: str, request_id: str, metrics: Metrics) -> None:
        self.endpoint = endpoint
        self.request_id = request_id
        self.replica: str | None = None
        self.attempts = 0
        self.resumed = 0
        self.queued_s = 0.0
        self.finish_reason: str | None = None
        self.usage: Mapping[str, Any] = {}
        self.outcome: str | None = None
        self.detail: str | None = None
        self._metrics = metrics

    def attempt(self, replica: str) -> None:
        """A try at `replica` begins."""
        self.replica = replica
        self.attempts += 1

    def attempt_ended(self, replica: str, outcome: str) -> None:
        """The try came to content ("ok") or to an error code."""
        self._metrics.attempts.labels(replica, outcome).inc()

    def broke(self, replica: str, code: str) -> None:
        """The stream that had come to content has broken there."""
        self._metrics.broken.labels(replica, code).inc()

    def resume(self, outcome: str) -> None:
        """The broken stream was resumed, completed, refused or failed."""
        self._metrics.resumes.labels(outcome).inc()

    def first_content(self) -> None:
        """The first content token is on its way to whoever asked."""

    def fail(self, error: GatewayError) -> None:
        """It ends with this error."""
        self.outcome, self.detail = error.code, error.detail


class Entry(Booking):
    """A request's. Leaving the context settles it."""

    def __init__(self, endpoint: str, request_id: str, metrics: Metrics, log: Log, clock: Clock) -> None:
        super().__init__(endpoint, request_id, metrics)
        self.key_id: str | None = None
        self.stream = False
        self.facts: dict[str, Any] = {}
        """What else stands in the log line: who served it, which route it took."""
        self._first_content_s: float | None = None
        self._log = log
        self._clock = clock
        self._started = clock()
        self._settled = False
        metrics.open_requests.inc()

    def __enter__(self) -> "Entry":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if isinstance(error, GatewayError):
            self.fail(error)
        elif isinstance(error, asyncio.CancelledError):
            self.outcome = ClientGone.code
        elif error is not None:
            # Only its type: what it says may quote the request. The server's log has the traceback.
            self.outcome, self.detail = InternalError.code, type(error).__name__
        self._settle()

    @property
    def passed_s(self) -> float:
        """Seconds since the request's arrival."""
        return self._clock() - self._started

    def first_content(self) -> None:
        """The first content token is on its way to the client."""
        self._first_content_s = self.passed_s
        self._metrics.first_content.labels(self.endpoint).observe(self._first_content_s)

    def round(self) -> "Booking":
        """One of several answers of models that this request asks for: its tries are the request's, its outcome not."""
        return Booking(self.endpoint, self.request_id, self._metrics)

    def add(self, round_: "Booking") -> None:
        """A round has ended: what it took counts for the request."""
        self.replica = round_.replica or self.replica
        self.attempts += round_.attempts
        self.resumed += round_.resumed
        self.queued_s += round_.queued_s

    def _settle(self) -> None:
        if self._settled:
            return
        self._settled = True
        outcome = self.outcome or ClientGone.code  # nobody said how it ended: the client left in the middle
        duration_s = self.passed_s
        stream = "true" if self.stream else "false"
        self._metrics.open_requests.dec()
        self._metrics.requests.labels(self.endpoint, stream, outcome).inc()
        self._metrics.duration.labels(self.endpoint, stream).observe(duration_s)
        prompt, completion = self.usage.get("prompt_tokens"), self.usage.get("completion_tokens")
        # The engine's word: a count that cannot be true must not cost the client its answer, nor the log its line.
        if isinstance(prompt, int) and isinstance(completion, int) and prompt >= 0 and completion >= 0:
            self._metrics.tokens.labels("prompt").inc(prompt)
            self._metrics.tokens.labels("completion").inc(completion)
        self._log.info(
            "request",
            request_id=self.request_id,
            endpoint=self.endpoint,
            stream=self.stream,
            outcome=outcome,
            detail=self.detail,
            key_id=self.key_id,
            replica=self.replica,
            attempts=self.attempts,
            resumed=self.resumed,
            queued_s=_rounded(self.queued_s),
            first_content_s=_rounded(self._first_content_s),
            duration_s=_rounded(duration_s),
            finish_reason=self.finish_reason,
            prompt_tokens=prompt,
            completion_tokens=completion,
            **self.facts,
        )


class Ledger:
    """Opens entries."""

    def __init__(self, metrics: Metrics, log: Log, clock: Clock) -> None:
        self._metrics = metrics
        self._log = log
        self._clock = clock

    def open(self, endpoint: str, request_id: str) -> Entry:
        """The entry of a request that has just arrived at `endpoint`."""
        return Entry(endpoint, request_id, self._metrics, self._log, self._clock)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
