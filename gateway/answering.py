"""Asks the tiers for one customer: which of them may answer, what each is sent, and what their answers cost.

Below the agent, which asks once a round, and above the chain, which decides the race. The label is looked at here to
plan, and once more where a cloud answer is opened: only what the privacy step clears then can reach the cloud.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from gateway import fields
from gateway.agent import Done, Message, carried_on
from gateway.budget import clocks_for
from gateway.cache import AnswerCache, Key
from gateway.chain import first_to_answer
from gateway.desk import Desk
from gateway.errors import GatewayError, UpstreamUnavailable
from gateway.ledger import Entry
from gateway.line import Priority
from gateway.metrics import Metrics
from gateway.ports import Chunk, Clock, StoreFailed
from gateway.privacy.clearance import clear_for_cloud
from gateway.privacy.detector import Detector
from gateway.privacy.label import CloudPolicy, Label
from gateway.routes import Route, Step, Tier, plan
from gateway.settings import Settings
from gateway.tiers.cloud import CloudTier
from gateway.tiers.on_prem import ENGINE_PRIORITY, OnPrem, OnPremSource
from gateway.tiers.source import Canned, Source

NOT_HERE = "Nobody can answer this at the moment. Try again in a few seconds."


@dataclass(slots=True)
class Matter:
    """A message that is being answered. `deadline_s` counts from the request's arrival, `entry` knows how long ago that
    is. `earlier` are the customer's messages before this one; `key` is set where the answer may be anybody's."""

    request_id: str
    tenant: str
    session_id: str
    conversation: str
    message: str
    earlier: Sequence[str]
    route_name: str
    route: Route
    sensitive: bool
    deadline_s: float | None
    priority: Priority
    entry: Entry
    key: Key | None = None


class Books(Protocol):
    """Where every answer of a tier is booked, with what it cost."""

    def book(
        self, matter: Matter, tier: Tier, model: str | None, usage: Mapping[str, Any], *, estimated: bool, outcome: str
    ) -> None: ...


class Tiers:
    """All of them. `cloud` is None where there is none."""

    def __init__(
        self,
        settings: Settings,
        on_prem: OnPrem,
        cloud: CloudTier | None,
        desk: Desk,
        cache: AnswerCache,
        books: Books,
        metrics: Metrics,
        detector: Detector,
        clock: Clock,
        now: Clock,
    ) -> None:
        self._settings = settings
        self._on_prem = on_prem
        self._cloud = cloud
        self._desk = desk
        self._cache = cache
        self._books = books
        self._metrics = metrics
        self._detector = detector
        self._clock = clock
        self._now = now

    async def ask(self, matter: Matter, messages: Sequence[Message], done: Done, *, final: bool) -> Source:
        """One round: the first tier that answers. Raises GatewayError. Safe to cancel."""
        left_s = None if matter.deadline_s is None else matter.deadline_s - matter.entry.passed_s
        body = self._body(messages, final=final)

        async def open_tier(step: Step) -> Source:
            return await self._open(matter, step, body, done, left_s)

        def failed(tier: Tier, error: GatewayError) -> None:
            self._metrics.tiers.labels(tier, error.code).inc()

        source = await first_to_answer(
            plan(matter.route, self._usable(matter, done), left_s), open_tier, passed_s=0.0, on_failed=failed
        )
        self._metrics.tiers.labels(source.tier, "ok").inc()
        return source

    async def carry_on(self, matter: Matter, messages: Sequence[Message], said: str) -> Source | None:
        """The cloud, going on with a text that has broken off; None where it may not, or cannot."""
        if Tier.OPENAI not in matter.route.chain or Tier.OPENAI not in self._usable(matter, Done()):
            return None
        try:
            source = await self._ask_cloud(matter, self._body(carried_on(messages, said), final=True))
        except GatewayError as error:
            self._metrics.tiers.labels(Tier.OPENAI, error.code).inc()
            return None
        self._metrics.tiers.labels(Tier.OPENAI, "ok").inc()
        return source

    def _body(self, messages: Sequence[Message], *, final: bool) -> dict[str, Any]:
        chat = self._settings.chat
        body = {
            "messages": [defused(told) for told in messages],
            "max_tokens": chat.max_tokens,
            "temperature": chat.temperature,
        }
        if self._desk.schemas:
            # Always the same tools: they stand at the prompt's beginning, which the replicas keep in their caches.
            body |= {"tools": list(self._desk.schemas), "tool_choice": "none" if final else "auto"}
        return body

    def _usable(self, matter: Matter, done: Done) -> set[Tier]:
        tiers = {Tier.ON_PREM, Tier.DATABASE}
        may_leave = matter.route.cloud == CloudPolicy.REDACTED or not matter.sensitive
        if self._cloud is not None and matter.route.cloud != CloudPolicy.NEVER and may_leave:
            tiers.add(Tier.OPENAI)
        if not done.messages:  # an answer that was kept ready knows nothing of what the tools have said
            tiers.add(Tier.CACHED)
        return tiers

    async def _open(
        self, matter: Matter, step: Step, body: Mapping[str, Any], done: Done, left_s: float | None
    ) -> Source:
        match step.tier:
            case Tier.ON_PREM:
                return await self._ask_on_prem(matter, body, left_s)
            case Tier.OPENAI:
                return await self._ask_cloud(matter, body)
            case Tier.DATABASE:
                return self._canned(matter, Tier.DATABASE, await self._facts(matter))
            case Tier.CACHED:
                text, how = self._kept(matter, stale=step.last_resort)
                return self._canned(matter, Tier.CACHED, text, how)
            case Tier.STATIC:
                # What the tools have done is the best that is left to say, and must not go untold.
                return self._canned(matter, Tier.STATIC, "\n\n".join([*done.summaries, matter.route.static]))

    async def _ask_on_prem(self, matter: Matter, body: Mapping[str, Any], left_s: float | None) -> Source:
        on_prem, limits = self._settings.on_prem, self._settings.limits
        asked = fields.admit(
            {"model": on_prem.model, **body},
            limits,
            tenant=matter.tenant,
            priority=ENGINE_PRIORITY[matter.priority],
        )
        booking = matter.entry.round()
        work = self._on_prem.work(
            asked,
            matter.tenant,
            clocks_for(on_prem, self._settings.chat),
            arrived_at=self._clock(),
            deadline_s=left_s,
            priority=matter.priority,
            booking=booking,
        )
        with ExitStack() as held:
            held.callback(matter.entry.add, booking)
            relay = await self._on_prem.open(work, held)
        return Metered(OnPremSource(relay, booking, on_prem.model), matter, self._books)

    async def _ask_cloud(self, matter: Matter, body: Mapping[str, Any]) -> Source:
        cleared = clear_for_cloud(
            body,
            label=Label.SENSITIVE if matter.sensitive else Label.CLEAR,
            policy=CloudPolicy(matter.route.cloud),
            tenant=matter.tenant,
            conversation=matter.conversation,
            detector=self._detector,
        )
        if self._cloud is None or cleared is None:
            raise UpstreamUnavailable(NOT_HERE, detail="not cleared for the cloud")
        model = self._settings.cloud.model

        def charge(usage: Mapping[str, Any], estimated: bool, outcome: str) -> None:
            self._books.book(matter, Tier.OPENAI, model, usage, estimated=estimated, outcome=outcome)

        return await self._cloud.open(cleared, matter.request_id, charge)

    async def _facts(self, matter: Matter) -> str:
        try:
            text = await self._desk.facts(matter.message, matter.earlier)
        except StoreFailed as error:
            raise UpstreamUnavailable(NOT_HERE, detail=str(error)) from error
        if text is None:
            raise UpstreamUnavailable(NOT_HERE, detail="the database has nothing to say to this")
        return text

    def _kept(self, matter: Matter, *, stale: bool) -> tuple[str, str]:
        if stale:
            kept = None
            if matter.key is not None:
                kept = self._cache.stale(matter.key, self._now(), matter.route.stale_s, any_inventory=False)
            if kept is not None:
                return kept.text, "stale"
        elif text := self._desk.preloaded(matter.route_name, matter.message):
            return text, "preloaded"
        raise UpstreamUnavailable(NOT_HERE, detail="no answer is kept for this")

    def _canned(self, matter: Matter, tier: Tier, text: str, how: str | None = None) -> Source:
        return Metered(Canned(tier, text, how), matter, self._books)


def defused(message: Message) -> Message:
    """The message with a model's control tokens made harmless: in the text of a customer, or of a row, `<|eot_id|>` is
    five characters of something, and not the end of a turn."""
    content = message.get("content")
    return (
        message
        if not isinstance(content, str) or "<|" not in content
        else {**message, "content": content.replace("<|", "< |")}
    )


class Metered:
    """A source whose answer is booked when it is closed. Satisfies `gateway.tiers.source.Source`."""

    def __init__(self, source: Source, matter: Matter, books: Books) -> None:
        self._source = source
        self._matter = matter
        self._books: Books | None = books
        self._whole = False

    @property
    def tier(self) -> Tier:
        """See the protocol, as for all that follow."""
        return self._source.tier

    @property
    def model(self) -> str | None:
        return self._source.model

    @property
    def replica(self) -> str | None:
        return self._source.replica

    @property
    def cache(self) -> str | None:
        return self._source.cache

    @property
    def usage(self) -> Mapping[str, Any]:
        return self._source.usage

    @property
    def finish_reason(self) -> str | None:
        return self._source.finish_reason

    @property
    def resumed(self) -> int:
        return self._source.resumed

    async def read(self) -> list[Chunk] | None:
        chunks = await self._source.read()
        self._whole |= chunks is None
        return chunks

    def stop(self, error: GatewayError) -> None:
        self._source.stop(error)

    def close(self) -> None:
        self._source.close()
        books, self._books = self._books, None
        if books is not None:
            outcome = "ok" if self._whole else "cut"
            books.book(self._matter, self.tier, self.model, self.usage, estimated=False, outcome=outcome)
