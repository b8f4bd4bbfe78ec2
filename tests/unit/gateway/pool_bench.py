"""A pool of replicas that answer their probes, and requests on their way to it, for tests: all real, only in memory."""

from typing import Any

from gateway.affinity import PromptKeys, keys_of
from gateway.budget import Budget, clocks_for
from gateway.health import ANSWERS, Finding, Scrape
from gateway.ledger import Ledger
from gateway.line import Priority
from gateway.pool import Pool, Replica, Visit
from gateway.ports import Clock, Fault
from gateway.settings import Listen, Settings
from gateway.work import Work
from tests.unit.gateway.manual_clock import ManualClock

CLIENT_KEY, ONPREM_KEY = "client-key-0123456789", "onprem-key-0123456789"
URLS = [f"http://site:808{n}" for n in (1, 2, 3)]
BODY: dict[str, Any] = {"model": "llama-70b-scout", "messages": [{"role": "user", "content": "Hi"}]}

IDLE = Scrape(running=0, waiting=0, kv_usage=0, generated=0)
PROVEN = Finding(Fault.NONE, ANSWERS, IDLE, generated=True, reached=True)
ODD = Finding(Fault.SUSPECT, "/health: HTTP 500", reached=True)
NO_CONNECTION = Finding(Fault.UNREACHABLE, "refused", reached=False)
NO_PREFIX = PromptKeys((), 8)


def settings_for(replicas: int, **slices: Any) -> Settings:
    """The default settings with so many replicas; keyword arguments replace whole slices."""
    required = {
        "listen": Listen(),
        "replica_urls": tuple(URLS[:replicas]),
        "api_keys": (CLIENT_KEY,),
        "onprem_key": ONPREM_KEY,
    }
    return Settings.model_validate({**required, **slices})


def ready_pool(settings: Settings, clock: Clock) -> Pool:
    """All of its replicas are ready."""
    pool = Pool(settings, clock)
    for replica in pool.replicas:
        pool.probed(replica, PROVEN)
    return pool


def lose(pool: Pool, *replicas: Replica, reason: str = "refused") -> None:
    """These replicas cannot be connected to any more."""
    for replica in replicas:
        pool.report(replica, Fault.UNREACHABLE, reason, reached=False)


def come_back(pool: Pool, replica: Replica, clock: ManualClock) -> None:
    """A lost replica proves itself by a probe, once its breaker's pause is over."""
    clock.advance(2)
    pool.probe_begins(replica)
    pool.probed(replica, PROVEN)


def prompt(text: str, tenant: str = "somebody") -> PromptKeys:
    return keys_of(tenant, [{"role": "user", "content": text}])


def make_work(
    settings: Settings,
    ledger: Ledger,
    clock: Clock,
    *,
    deadline_s: float | None = None,
    priority: Priority = Priority.INTERACTIVE,
    visited: set[Visit] | None = None,
) -> Work:
    """A request that arrives now."""
    clocks = clocks_for(settings.on_prem, settings.chat)
    return Work(
        body=BODY,
        keys=NO_PREFIX,
        tokens=100,
        clocks=clocks,
        budget=Budget.start(clock(), clocks, deadline_s, settings.attempts),
        priority=priority,
        entry=ledger.open("chat", "req_1"),
        arrived_at=clock(),
        visited=visited or set(),
    )
