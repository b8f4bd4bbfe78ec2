"""The replicas of one site: what we believe of each, what each carries for us, and the leases that say so.

The one place where beliefs, breakers, load and affinity meet. Everything is synchronous; decisions are made by the pure
modules (`health`, `breaker`, `site`, `routing`, `affinity`), this one keeps their state and tells who must know of a
change: the queue when a place may have come free, the streams of a replica when it is found to have failed.
"""

from collections.abc import Callable, Collection
from types import TracebackType

from gateway import health, routing
from gateway.affinity import Index, PromptKeys, estimate_tokens
from gateway.breaker import Breaker, Circuit
from gateway.health import Belief, Finding, State
from gateway.ports import Clock, Fault
from gateway.routing import Candidate
from gateway.settings import Settings
from gateway.site import Site, SiteEvent

CUTS_BELONG_TOGETHER_S = 2.0
"""Streams that break on a replica within this time broke by one and the same event."""

SERVING = (State.READY, State.OVERLOADED)
"""States in which a replica takes requests, or will once it is less busy."""

PROOF_LASTS_S = 0.5
"""Proof of progress that is younger need not be renewed: it is looked at in seconds, and comes with every answer."""

Visit = tuple[str, int]
"""A replica by name and epoch: the same replica after it has failed and come back is another one."""


class Replica:
    """One model server behind one of nginx's ports."""

    def __init__(self, name: str, url: str, belief: Belief, breaker: Breaker) -> None:
        self.name = name
        self.url = url
        self.belief = belief
        self.breaker = breaker
        self.leases: set[Lease] = set()
        self.in_flight_tokens = 0
        self.last_leased = 0
        self.last_cut = float("-inf")
        self.epoch = 0
        self.shown: State = State.FAILED
        """The state as last told to the log and the queue."""

    @property
    def in_flight(self) -> int:
        """Requests that hold a place here."""
        return len(self.leases)

    @property
    def visit(self) -> Visit:
        """This replica as it is now."""
        return self.name, self.epoch


class Lease:
    """One request's place on a replica. Leaving the context, or `release`, gives it back, once."""

    __slots__ = ("_pool", "lost", "on_lost", "replica", "tokens", "visit", "why")

    def __init__(self, pool: "Pool", replica: Replica, tokens: int, why: str) -> None:
        self._pool = pool
        self.replica = replica
        self.visit = replica.visit
        self.tokens = tokens
        self.why = why
        self.lost = ""
        """Why the replica was found to have failed while this place was held; "" if it was not."""
        self.on_lost: Callable[[], None] | None = None
        replica.leases.add(self)
        replica.in_flight_tokens += tokens

    def __enter__(self) -> "Lease":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()

    def release(self) -> None:
        """Idempotent and synchronous."""
        if self in self.replica.leases:
            self.replica.leases.remove(self)
            self.replica.in_flight_tokens -= self.tokens
            self._pool.place_free(ended=True)


class Pool:
    """The replicas of one site."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._leases = 0
        now = clock()
        self.replicas = tuple(
            Replica(f"replica-{i}", url, health.at_start(now), Breaker(settings.breaker))
            for i, url in enumerate(settings.replica_urls)
        )
        self._by_name = {replica.name: replica for replica in self.replicas}
        self.index = Index(settings.affinity.max_index_bytes)
        self.site = Site([replica.name for replica in self.replicas])
        self.usable_at = now
        """When a replica was last usable; at the start, now: a gateway that has just started waits for its probes."""
        self.on_place: Callable[[bool], None] = lambda ended: None
        self.on_state: Callable[[Replica, State, str], None] = lambda replica, was, reason: None
        self.on_site: Callable[[SiteEvent], None] = lambda event: None

    def __getitem__(self, name: str) -> Replica:
        return self._by_name[name]

    # ---- choosing

    def lease(self, keys: PromptKeys, tokens: int, excluded: Collection[Visit]) -> Lease | None:
        """A place on the best replica that is not excluded; None if none has one free now.

        `tokens` is what the request will occupy, prompt and answer together, as far as one can tell.
        """
        names = self._excluded_names(excluded)
        choice = routing.pick(self._candidates(keys), names, estimate_tokens(keys.total_bytes), self._settings.affinity)
        if choice is None:
            return None
        replica = self._by_name[choice.name]
        self._leases += 1
        replica.last_leased = self._leases
        return Lease(self, replica, tokens, choice.why)

    def usable(self, excluded: Collection[Visit] = ()) -> bool:
        """Whether a replica that is not excluded serves, or will once it is less busy."""
        names, now = self._excluded_names(excluded), self._clock()
        return any(replica.name not in names and self._assess(replica, now)[0] in SERVING for replica in self.replicas)

    def places(self) -> int:
        """Requests that all usable replicas may hold together."""
        now = self._clock()
        return sum(self._limit(r, now) for r in self.replicas if self._assess(r, now)[0] is State.READY)

    def _candidates(self, keys: PromptKeys) -> list[Candidate]:
        now = self._clock()
        held = self.index.held(keys, self._by_name)
        found = []
        for replica in self.replicas:
            state, _ = self._assess(replica, now)
            scrape = health.fresh_scrape(replica.belief, now, self._settings.health)
            found.append(
                Candidate(
                    replica.name,
                    state,
                    len(replica.leases),
                    replica.in_flight_tokens,
                    self._limit(replica, now),
                    scrape.waiting if scrape is not None else 0.0,
                    scrape.kv_usage if scrape is not None else 0.0,
                    estimate_tokens(held[replica.name]),
                    replica.last_leased,
                )
            )
        return found

    def _limit(self, replica: Replica, now: float) -> int:
        share = replica.breaker.limit_share(now)
        return max(1, int(self._settings.admission.max_concurrent_per_replica * share))

    def _excluded_names(self, excluded: Collection[Visit]) -> set[str]:
        return {name for name, epoch in excluded if self._by_name[name].epoch == epoch}

    # ---- state

    def state(self, replica: Replica) -> tuple[State, str]:
        """The replica's state now, and why."""
        return self._assess(replica, self._clock())

    @property
    def ready(self) -> bool:
        """Whether any replica takes traffic."""
        return any(self.state(replica)[0] in SERVING for replica in self.replicas)

    def _assess(self, replica: Replica, now: float) -> tuple[State, str]:
        breaker = replica.breaker
        return health.assess(
            replica.belief, now, self._settings.health, admits=breaker.admits(now), why_not=breaker.why
        )

    def place_free(self, *, ended: bool = False) -> None:
        """A place may have come free; `ended` when it is because a request ended."""
        self.on_place(ended)

    # ---- what traffic says

    def answered(self, replica: Replica, keys: PromptKeys) -> None:
        """The first content came: the replica works and now holds this prompt."""
        now = self._clock()
        replica.breaker.success(now)
        self.progressed(replica, now)
        self.index.learn(keys, replica.name)

    def progressed(self, replica: Replica, now: float) -> None:
        """More of an answer came from it."""
        if now - replica.belief.proven_at >= PROOF_LASTS_S:
            replica.belief = health.progressed(replica.belief, now)

    def report(
        self, replica: Replica, fault: Fault, reason: str, retry_after_s: float = 1.0, *, reached: bool = True
    ) -> None:
        """What a failed attempt said of the replica; `reached` is False where no connection could be made."""
        now, belief = self._clock(), replica.belief
        if fault is Fault.NONE:
            return
        if fault is Fault.BUSY:
            replica.belief = health.busy_until(belief, now + retry_after_s)
        elif fault is Fault.SUSPECT:
            replica.belief = health.suspected(belief, now)
            self._count_failure(replica, reason, now)
        else:
            replica.belief = health.after_lost_connection(belief, now, self._settings.health, reason)
            if not reached:
                self._tell_site(self.site.unreachable(replica.name, now, reason))
            self._count_failure(replica, reason, now)
        self._settle_state(replica, now)

    def cut(self, replica: Replica, now: float) -> bool:
        """A request's connection broke on it. Returns whether it was the only one of this event."""
        alone = len(replica.leases) <= 1 and now - replica.last_cut > CUTS_BELONG_TOGETHER_S
        replica.last_cut = now
        return alone

    def look_at_all(self) -> None:
        """Has every replica probed now."""
        now = self._clock()
        for replica in self.replicas:
            replica.belief = health.suspected(replica.belief, now)

    def _count_failure(self, replica: Replica, reason: str, now: float) -> None:
        # When a whole site is gone its replicas are not to blame: they come back together, and at full strength.
        if not self.site.down:
            replica.breaker.failure(now, reason)

    # ---- what probes say

    def seconds_until_probe(self, replica: Replica) -> float:
        """How long the replica's next probe is away; 0 when it is due."""
        now = self._clock()
        busy = bool(replica.leases) or not replica.breaker.admits(now)
        due = health.probe_due_at(replica.belief, self._settings.health, busy=busy)
        return max(0.0, due - now)

    def wants_canary(self, replica: Replica) -> bool:
        """Whether the probe under way should have a token generated."""
        now = self._clock()
        if not replica.breaker.admits(now):
            return replica.breaker.probe_due(now)
        return health.wants_canary(replica.belief, now, self._settings.health, busy=bool(replica.leases))

    def probe_begins(self, replica: Replica) -> None:
        """A probe with a canary begins: for an open breaker it is the one that decides."""
        now = self._clock()
        if not replica.breaker.admits(now) and replica.breaker.probe_due(now):
            replica.breaker.probe_started(now)

    def probed(self, replica: Replica, finding: Finding) -> None:
        """What a probe found."""
        now = self._clock()
        busy = bool(replica.leases)
        replica.belief = health.after_probe(replica.belief, finding, now, self._settings.health, busy=busy)
        if finding.reached is False:
            self._tell_site(self.site.unreachable(replica.name, now, finding.reason))
        elif finding.reached:
            self._tell_site(self.site.reachable(replica.name, now))
        if replica.breaker.circuit(now) is Circuit.HALF_OPEN:
            if finding.generated or finding.fault is Fault.NONE:  # busy with others' work is at work
                replica.breaker.probe_succeeded(now)
            else:
                replica.breaker.probe_failed(now, finding.reason)
        self._settle_state(replica, now)

    def _tell_site(self, event: SiteEvent | None) -> None:
        if event is None:
            return
        now = self._clock()
        for replica in self.replicas:
            replica.breaker.reset(now)
        self.on_site(event)

    # ---- what the operator says

    def drain(self, replica: Replica, draining: bool) -> None:
        """Gives it no more requests, or gives it some again."""
        now = self._clock()
        replica.belief = health.set_draining(replica.belief, draining, now)
        self._settle_state(replica, now)

    def _settle_state(self, replica: Replica, now: float) -> None:
        """Tells those who must know when the state has changed."""
        state, reason = self._assess(replica, now)
        was, replica.shown = replica.shown, state
        if state is was:
            return
        if was in SERVING:
            self.usable_at = now
        self.on_state(replica, was, reason)
        if state is State.FAILED:
            if not self.site.down:
                replica.breaker.trip(now, reason)  # so that it comes back by one probe, and slowly
            # Whatever it held is lost when it was restarted; when it was not, the next answers teach it again.
            self.index.forget(replica.name)
            replica.epoch += 1
            for lease in list(replica.leases):
                lease.lost = reason
                if lease.on_lost is not None:
                    lease.on_lost()
        self.place_free()
