"""Asks each replica how it is, again and again: one task a replica, as often as its health wants it.

A probe goes through nginx and asks whether the engine is alive (/health) and how loaded it is (/metrics); of a replica
that has failed also whether our key is accepted and our model served (/v1/models). Where the pool wants it, a canary
ends the probe: one token, generated, which is the only proof that the engine is not hung.
"""

import asyncio
import secrets
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from gateway.engine_metrics import parse
from gateway.health import ANSWERS, Finding, State
from gateway.link import Link, Path
from gateway.logs import Log
from gateway.ports import Asker, Fault, NoReply, Reply
from gateway.settings import Health
from shared import headers

MIN_PAUSE_S = 0.05  # between two probes or two looks at the clock, however soon a probe is due
LINK_INTERVAL_S = 10.0


class Probed(Protocol):
    """What a prober needs to know of a replica."""

    @property
    def name(self) -> str: ...

    @property
    def url(self) -> str: ...


R_contra = TypeVar("R_contra", bound=Probed, contravariant=True)
R = TypeVar("R", bound=Probed)


class Beliefs(Protocol[R_contra]):
    """Who wants the findings: the pool. It also says when to look, and how thoroughly."""

    def seconds_until_probe(self, replica: R_contra, /) -> float: ...

    def wants_canary(self, replica: R_contra, /) -> bool: ...

    def probe_begins(self, replica: R_contra, /) -> None:
        """A canary is about to be sent; `probed` follows in any case."""

    def probed(self, replica: R_contra, finding: Finding, /) -> None: ...

    def state(self, replica: R_contra, /) -> tuple[State, str]: ...


class Prober(Generic[R]):
    """Probes by an asker of its own, so that no probe waits behind the traffic.

    `paths` is the way to each of the replicas' hosts as last seen, empty where no tailscaled is asked.
    """

    def __init__(
        self,
        asker: Asker,
        key: str,
        model: str,
        settings: Health,
        pool: Beliefs[R],
        log: Log,
        link: Link | None = None,
    ) -> None:
        self._asker = asker
        self._key = (headers.AUTHORIZATION, f"Bearer {key}")
        self._model = model
        self._settings = settings
        self._pool = pool
        self._log = log
        self._link = link
        self._logged: dict[str, State] = {}
        self.paths: dict[str, Path] = {} if link is None else dict.fromkeys(link.hosts, Path.UNKNOWN)

    async def watch(self, replica: R, apart_s: float = 0.0) -> None:
        """Never returns, whatever a probe runs into.

        The second probe is `apart_s` late: of replicas that are given different ones the probes do not fall together,
        and the streams under way wait for one probe at most.
        """
        late_s = 0.0
        while True:
            due_in = self._pool.seconds_until_probe(replica)
            if due_in <= 0:
                await self._probe_and_report(replica)
                late_s, apart_s = apart_s, 0.0
            elif replica.name in self._logged:
                self._log_change(replica)  # traffic changes states too
            # A failed request may make the next probe due earlier, hence no sleep to the end.
            await asyncio.sleep(late_s + max(MIN_PAUSE_S, min(due_in, self._settings.failed_interval_s)))
            late_s = 0.0

    async def watch_link(self) -> None:
        """Never returns, unless there is no link to look at."""
        while self._link is not None:
            paths = await self._link.look()
            for host, path in paths.items():
                if path is not self.paths[host]:
                    self._log.info("link", host=host, was=self.paths[host], path=path)
            self.paths = paths
            await asyncio.sleep(LINK_INTERVAL_S)

    async def _probe_and_report(self, replica: R) -> None:
        first = replica.name not in self._logged
        self._logged.setdefault(replica.name, self._pool.state(replica)[0])
        try:
            finding = await self.probe(replica)
        except Exception as error:  # noqa: BLE001  # a watch that ends would leave a belief that nobody corrects
            finding = Finding(Fault.UNREACHABLE, f"{type(_innermost(error)).__name__} in a probe")
        self._pool.probed(replica, finding)
        self._log_change(replica, always=first)  # one that is not there from the start is worth a line as well

    def _log_change(self, replica: R, *, always: bool = False) -> None:
        was, (state, reason) = self._logged[replica.name], self._pool.state(replica)
        self._logged[replica.name] = state
        if always or state is not was:
            self._log.info("replica", replica=replica.name, was=was, state=state, reason=reason)

    async def probe(self, replica: R) -> Finding:
        """One probe, and what it found; Fault.NONE if all is well."""
        # Both at once: where /health is slow the counters tell whether it is slow from work, and none waits for the
        # other's time-out.
        async with asyncio.TaskGroup() as both:
            asking, scraping = both.create_task(self._health(replica)), both.create_task(self._metrics(replica))
        finding, metrics = asking.result(), scraping.result()
        reached = True if metrics.reached else finding.reached
        if finding.fault is Fault.NONE:
            finding = metrics
        if finding.fault is Fault.NONE and self._pool.state(replica)[0] is State.FAILED:
            finding = await self._models(replica)
        if finding.fault is Fault.NONE and self._pool.wants_canary(replica):
            self._pool.probe_begins(replica)
            finding = await self._canary(replica)
        return replace(finding, scrape=metrics.scrape, reached=reached)

    async def _health(self, replica: R) -> Finding:
        answer = await self._ask(replica, "/health")
        if isinstance(answer, Finding):
            return answer
        if answer.status in (502, 503):
            return Finding(Fault.UNREACHABLE, f"/health: HTTP {answer.status}", reached=True)
        return _unless_ok(answer, "/health")

    async def _metrics(self, replica: R) -> Finding:
        answer = await self._ask(replica, "/metrics")
        if isinstance(answer, Finding):
            # Whether the replica is there is for /health to say; without figures it is flown blind.
            return replace(answer, fault=Fault.SUSPECT, reason=f"metrics: {answer.reason}")
        finding = _unless_ok(answer, "metrics")
        if finding.fault is not Fault.NONE:
            return finding
        try:
            return replace(finding, scrape=parse(answer.body.decode()))
        except ValueError as error:
            return replace(finding, fault=Fault.SUSPECT, reason=f"metrics: {error}")

    async def _models(self, replica: R) -> Finding:
        answer = await self._ask(replica, "/v1/models")
        if isinstance(answer, Finding):
            return answer
        finding = _unless_ok(answer, "/v1/models")
        if finding.fault is Fault.NONE and self._model not in _names(answer):
            return Finding(Fault.UNREACHABLE, f"does not serve the model {self._model}")
        return finding

    async def _canary(self, replica: R) -> Finding:
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": "."}],
            "max_tokens": 1,
            "temperature": 0,
        }
        answer = await self._ask(replica, "/v1/chat/completions", body)
        if isinstance(answer, Finding):
            return replace(answer, reason=f"canary: {answer.reason}")
        if answer.status in (429, 503):
            return Finding(Fault.NONE, "busy")
        if answer.status == 502:
            return Finding(Fault.UNREACHABLE, "canary: HTTP 502")
        finding = _unless_ok(answer, "canary")
        if finding.fault is Fault.NONE and (wrong := _nothing_generated(answer)):
            return Finding(Fault.SUSPECT, f"canary: {wrong}")
        return replace(finding, generated=finding.fault is Fault.NONE)

    async def _ask(self, replica: R, path: str, body: dict[str, Any] | None = None) -> Reply | Finding:
        """The whole answer; where there is none, the finding that says so."""
        timeout_s, sent, content = self._settings.timeout_s, [self._key], None
        if body is not None:
            timeout_s, content = self._settings.canary_timeout_s, msgspec.json.encode(body)
            name = f"canary-{secrets.token_hex(6)}"
            sent += [("content-type", "application/json"), (headers.REQUEST_ID, name)]
        try:
            async with asyncio.timeout(timeout_s):
                return await self._asker.ask(replica.url, path, sent, content)
        except NoReply as none:
            if not none.reached:
                return Finding(Fault.UNREACHABLE, f"no connection ({none})", reached=False)
            return Finding(Fault.SUSPECT, f"no answer to a probe ({none})")
        except TimeoutError:
            return Finding(Fault.SUSPECT, f"no answer to a probe within {timeout_s:g} s")


def _unless_ok(answer: Reply, what: str) -> Finding:
    """Good for a 200; a refused key is as bad as no connection, since no request of ours will get through."""
    status = answer.status
    if status in (401, 403):
        reason = f"nginx refuses our key (HTTP {status}): check SCOUT_ONPREM_KEY"
        return Finding(Fault.UNREACHABLE, reason, reached=True)
    if status != 200:
        return Finding(Fault.SUSPECT, f"{what}: HTTP {status}", reached=True)
    return Finding(Fault.NONE, ANSWERS, reached=True)


def _names(models: Reply) -> list[str]:
    try:
        listed = msgspec.json.decode(models.body)["data"]
        return [str(model["id"]) for model in listed]
    except (ValueError, KeyError, TypeError):
        return []


def _nothing_generated(completion: Reply) -> str | None:
    """What is wrong with the canary's answer. An engine that shuts down answers 200, nothing, and "abort"."""
    try:
        reason = msgspec.json.decode(completion.body)["choices"][0]["finish_reason"]
    except (ValueError, LookupError, TypeError):
        return "no completion"
    return f"finish_reason {reason!r}" if reason not in ("stop", "length") else None


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
