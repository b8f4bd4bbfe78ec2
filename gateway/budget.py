"""What a request may cost: its clocks and headers, its attempts, and the extra work all requests together may make.

Pure. `gateway.chat` starts a Budget when a request arrives; every attempt, resume and hedge asks it first, and all but
the first attempt ask the pool's RetryBudget too. Promises: no attempt after the last one, none for a request that has
killed two replicas, and no retry storm: extra attempts stay a small share of the requests.
"""

import math
import re
from collections import deque
from dataclasses import dataclass

from gateway.errors import InvalidField
from gateway.line import Priority
from gateway.settings import Attempts, DoorClocks, OnPrem
from shared import headers

LONGEST_DEADLINE_MS = 3_600_000

POISON_STRIKES = 2
"""One death beside a request is bad luck, replicas do die; with a second one the request is the likelier cause."""

TRICKLE_PER_S = 1.0
"""What a RetryBudget regains without traffic: little next to a pool's load, enough to be whole again in a minute."""

FEWEST_OBSERVATIONS = 20
"""From 20 on there is at least one observation above the 95th percentile; of fewer it would be the slowest of all."""

_ROUNDING = 1e-9  # ten deposits of 0.1 must buy an attempt, though floats add them up to a hair less than 1
_PRIORITIES = {"interactive": Priority.INTERACTIVE, "batch": Priority.BATCH}


@dataclass(frozen=True, slots=True)
class Clocks:
    """The longest waits of one request, in seconds: first content and total count from its arrival."""

    connect_s: float
    first_content_s: float
    idle_s: float
    total_s: float


def clocks_for(on_prem: OnPrem, route: DoorClocks) -> Clocks:
    """The route's own clocks, and the upstream's where it has none."""
    return Clocks(
        connect_s=on_prem.connect_timeout_s,
        first_content_s=route.first_content_timeout_s or on_prem.first_content_timeout_s,
        idle_s=route.idle_timeout_s or on_prem.idle_timeout_s,
        total_s=route.total_timeout_s or on_prem.total_timeout_s,
    )


def parse_deadline_ms(value: str | None) -> float | None:
    """The client's deadline in seconds from the request's arrival; None without the header. Raises InvalidField."""
    if value is None:
        return None
    # Seven digits hold the bound; `int` alone would take signs, underscores and other scripts' digits.
    milliseconds = int(value) if re.fullmatch("[0-9]{1,7}", value) else 0
    if not 1 <= milliseconds <= LONGEST_DEADLINE_MS:
        message = f"{headers.DEADLINE_MS} must be a whole number of milliseconds from 1 to {LONGEST_DEADLINE_MS}."
        raise InvalidField(message, param=headers.DEADLINE_MS)
    return milliseconds / 1000


def parse_priority(value: str | None, route: DoorClocks) -> Priority:
    """The route's priority, or the lower one that the client asks for: it may yield, not push. Raises InvalidField."""
    own = _PRIORITIES[route.priority]
    if value is None:
        return own
    if value not in _PRIORITIES:
        raise InvalidField(f"{headers.PRIORITY} must be 'interactive' or 'batch'.", param=headers.PRIORITY)
    return max(own, _PRIORITIES[value])


@dataclass(slots=True)
class Budget:
    """One request's time, attempts and strikes; times are seconds on the caller's clock.

    `client_deadline` tells whose bound `ends_at` is: the client's, or ours.
    """

    first_content_by: float
    ends_at: float
    client_deadline: bool
    attempts_left: int
    resumes_left: int
    strikes: int = 0

    @classmethod
    def start(cls, now: float, clocks: Clocks, deadline_s: float | None, settings: Attempts) -> "Budget":
        """The whole budget of a request that arrived at `now`. The client's deadline can only shorten our clocks."""
        wanted_s = math.inf if deadline_s is None else deadline_s
        total_s = min(clocks.total_s, wanted_s)
        return cls(
            first_content_by=now + min(clocks.first_content_s, total_s),
            ends_at=now + total_s,
            client_deadline=wanted_s <= clocks.total_s,
            attempts_left=settings.max_attempts,
            resumes_left=settings.max_resumes,
        )

    @property
    def client_bounds_first_content(self) -> bool:
        """Whether `first_content_by` is the client's deadline: a deadline beyond our own clock does not bind there."""
        return self.client_deadline and self.first_content_by == self.ends_at

    def remaining_first_content(self, now: float) -> float:
        """Seconds left for the first content; 0 when they are over."""
        return max(0.0, self.first_content_by - now)

    def remaining(self, now: float) -> float:
        """Seconds left for the whole request; 0 when they are over."""
        return max(0.0, self.ends_at - now)

    @property
    def may_attempt(self) -> bool:
        """Whether a replica may be asked, for the first time or again."""
        return self.attempts_left > 0 and not self.poisonous

    def spend_attempt(self) -> None:
        """To be called before a replica is asked, whatever for. Raises RuntimeError unless `may_attempt`."""
        if not self.may_attempt:
            raise RuntimeError("no attempt is left")
        self.attempts_left -= 1

    @property
    def may_resume(self) -> bool:
        """Whether a broken stream may go on elsewhere. That is an attempt too, so one of those must be left."""
        return self.resumes_left > 0 and self.may_attempt

    def spend_resume(self) -> None:
        """To be called once per resume, before its `spend_attempt`. Raises RuntimeError unless `may_resume`."""
        if not self.may_resume:
            raise RuntimeError("no resume is left")
        self.resumes_left -= 1

    def struck(self, produced: bool, alone: bool) -> None:
        """A replica died while it served this request. It is a strike only if the request may well be the cause.

        Some prompts bring an engine down, and replaying such a one would take out replica after replica. It does so
        early, before the leg has `produced` anything new. Requests that streamed beside it did produce, and must
        not be blamed: two deaths in a row would else cut the streams of everybody. Where nobody else was on the
        replica (`alone`), there was no bystander, so it counts anyhow.
        """
        if alone or not produced:
            self.strikes += 1

    def absolve(self) -> None:
        """It was not this request: what looked like replicas' deaths was their site's."""
        self.strikes = 0

    @property
    def poisonous(self) -> bool:
        """It was struck twice: it is never sent to another replica."""
        return self.strikes >= POISON_STRIKES


class RetryBudget:
    """The pool's bound on extra attempts (retries, hedges, resumes): a token bucket, which starts full.

    In the long run at most `ratio` extra attempts per request plus one per second, and a `reserve` for bad moments,
    such as a replica's death, which breaks all of its requests at once. The second-wise trickle lets a quiet pool
    recover. With a reserve of 0 there are no extra attempts.
    """

    def __init__(self, ratio: float, reserve: int) -> None:
        self._ratio = ratio
        self._reserve = reserve
        self._tokens = float(reserve)
        self._at = -math.inf

    @property
    def left(self) -> float:
        """Extra attempts saved up, as of the last call."""
        return self._tokens

    def request_seen(self, now: float) -> None:
        """To be called once per client's request: it deposits `ratio` of an attempt."""
        self._add(self._ratio, now)

    def take(self, now: float) -> bool:
        """Takes one extra attempt; False when there is none, and then nothing is taken."""
        self._add(0.0, now)
        if self._tokens < 1 - _ROUNDING:
            return False
        self._tokens = max(0.0, self._tokens - 1)
        return True

    def _add(self, tokens: float, now: float) -> None:
        # A request is booked as of its arrival, and its body may have taken a while: `now` may be before the last one.
        trickled = max(0.0, now - self._at) * TRICKLE_PER_S
        self._tokens = min(float(self._reserve), self._tokens + tokens + trickled)
        self._at = max(self._at, now)


class FirstContentTimes:
    """The last `size` times to first content; their 95th percentile is how long a hedge waits.

    So about one request in 20 is hedged, and that one is likely stuck. With a `size` below 20 there is never a p95.
    """

    def __init__(self, size: int = 256) -> None:
        self._seconds: deque[float] = deque(maxlen=size)

    def observe(self, seconds: float) -> None:
        """How long a request's first content took, from the start of the attempt that brought it."""
        self._seconds.append(seconds)

    def p95(self) -> float | None:
        """The time within which 95 of 100 came, by nearest rank, in seconds; None until there are 20 of them."""
        if len(self._seconds) < FEWEST_OBSERVATIONS:
            return None
        rank = -(-95 * len(self._seconds) // 100)  # rounded up, in whole numbers: 0.95 is not exact
        return sorted(self._seconds)[rank - 1]
