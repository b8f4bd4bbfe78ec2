"""The life of a customer's message: authenticate, recall, label, classify, look up, plan and answer, settle.

The conversation door's counterpart of `gateway.chat`. The label goes up before anything is asked, and is written down
first; a store that fails means sensitive. Whatever is taken on the way is held by one stack and given back however the
message ends; from `Turn.begin` on the turn owns it.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from gateway.agent import Agent, Done, Message
from gateway.answering import Matter, Tiers
from gateway.auth import Keyring
from gateway.budget import RetryBudget, parse_deadline_ms, parse_priority
from gateway.cache import AnswerCache, Key, key_of, storable
from gateway.desk import Customer, Desk
from gateway.ending import Ending
from gateway.errors import InvalidField
from gateway.events import Event
from gateway.ledger import Ledger
from gateway.memory import Memory, Recalled
from gateway.metrics import Metrics
from gateway.ports import Clock, StoreFailed
from gateway.privacy.detector import Detector
from gateway.privacy.label import Label, label_of
from gateway.settings import Settings
from gateway.single_flight import Flights
from gateway.tool_calls import ToolCall
from gateway.turn import Answering, Turn
from gateway.writers import Writers, WriterTurn


class Classifier(Protocol):
    """Which route a message takes, and why, in words that may stand in a log."""

    def __call__(self, message: str, earlier: Sequence[str]) -> tuple[str, str]: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What the body says. `previous` is a history that the client sends, which is used where we have none."""

    message: str
    session_id: str | None = None
    previous: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Visit:
    """One request at the conversation door. `read` reads and checks the body, once the caller is known."""

    request_id: str
    authorization: str | None
    deadline_ms: str | None
    priority: str | None
    route: str | None
    read: Callable[[], Awaitable[Asked]]


@dataclass(frozen=True, slots=True)
class Conversations:
    """All that a message needs on its way, built once in `app`."""

    settings: Settings
    keys: Keyring
    ledger: Ledger
    retries: RetryBudget
    memory: Memory
    writers: Writers
    classify: Classifier
    detector: Detector
    desk: Desk
    tiers: Tiers
    cache: AnswerCache
    flights: Flights[list[Event]]
    ending: Ending
    metrics: Metrics
    clock: Clock
    now: Clock

    async def answer(self, visit: Visit) -> Turn:
        """Answers one message. Raises GatewayError; safe to cancel."""
        with ExitStack() as held:
            entry = held.enter_context(self.ledger.open("chat", visit.request_id))
            entry.stream = True
            caller = self.keys.authenticate(visit.authorization)
            entry.key_id = caller.key_id
            deadline_s = parse_deadline_ms(visit.deadline_ms)
            priority = parse_priority(visit.priority, self.settings.chat)
            asked = await visit.read()
            self.retries.request_seen(self.clock())
            until_turn = held.enter_context(ExitStack())
            recalled, writer = await self._recall(caller.tenant, asked)
            until_turn.callback(writer.release)
            said = [asked.message, *(str(message.get("content") or "") for message in asked.previous)]
            await self.memory.label(recalled, label_of(said, self.detector))
            matter = self._matter(visit, caller, asked, recalled, deadline_s, priority, entry)
            matter.key = await self._key(matter, recalled)
            events = await self._answering(matter, recalled)
            until_turn.pop_all()  # from here on it is the turn that lets the next message in
            writing = Writing(self.memory, recalled, asked.message, writer)
            turn = Turn(
                events, entry, held.pop_all(), session_id=matter.session_id, route=matter.route_name, remember=writing
            )
        try:
            await turn.begin()
        except BaseException:
            turn.close()
            raise
        self.ending.watch(turn)
        return turn

    async def _recall(self, tenant: str, asked: Asked) -> tuple[Recalled, WriterTurn]:
        """The conversation, and the right to write it: taken first, so that what is recalled is whole."""
        if asked.session_id is None:
            # Its id reaches the client while the first answer streams: then it is held like any other.
            recalled = await self.memory.recall(tenant, None, asked.previous)
            return recalled, await self.writers.take(recalled.session.id)
        writer = await self.writers.take(asked.session_id, self.settings.sessions.busy_wait_s)
        try:
            return await self.memory.recall(tenant, asked.session_id, asked.previous), writer
        except BaseException:
            writer.release()
            raise

    def _matter(
        self,
        visit: Visit,
        caller: Caller,
        asked: Asked,
        recalled: Recalled,
        deadline_s: float | None,
        priority: Priority,
        entry: Entry,
    ) -> Matter:
        route_name = self._route(visit.route, asked.message, recalled)
        return Matter(
            request_id=visit.request_id,
            tenant=caller.tenant,
            session_id=recalled.session.id,
            conversation=recalled.conversation,
            message=asked.message,
            earlier=recalled.earlier,
            route_name=route_name,
            route=self.settings.route(route_name),
            sensitive=recalled.sensitive,
            deadline_s=deadline_s,
            priority=priority,
            entry=entry,
        )

    def _route(self, named: str | None, message: str, recalled: Recalled) -> str:
        if named is not None:
            if named not in self.settings.routes:
                known = ", ".join(sorted(self.settings.routes)) or "none"
                raise InvalidField(f"x-scout-route: there is no such route. There are: {known}.", param="x-scout-route")
            return named
        route, _ = self.classify(message, recalled.earlier)
        self.metrics.intents.labels(route).inc()
        return route

    async def _key(self, matter: Matter, recalled: Recalled) -> Key | None:
        """The cache's key, where the answer may be anybody's."""
        temperature, policy = self.settings.chat.temperature, self.settings.cache
        if recalled.history or matter.sensitive or not matter.route.cache_s or temperature > policy.max_temperature:
            return None
        try:
            version = await self.desk.version()
        except StoreFailed:
            return None  # who cannot say what is in stock now cannot say what of it is stale
        return key_of(matter.tenant, matter.route_name, self.desk.prompt_version, version, matter.message)

    async def _answering(self, matter: Matter, recalled: Recalled) -> Answering:
        key = matter.key
        if key is None:
            return await self._agent(matter, recalled)
        kept = self.cache.fresh(key, self.now(), matter.route.cache_s)
        if kept is not None:
            self.metrics.cache.labels("hit").inc()
            return Replay(kept.text, "hit")

        async def start() -> Shared:
            return Shared(await self._agent(matter, recalled), lambda done: self._keep(key, matter, done))

        follower, leads = self.flights.join(key, start)
        self.metrics.cache.labels("miss" if leads else "shared").inc()
        try:
            await follower.opened()
        except BaseException:
            follower.close()
            raise
        return Following(follower, leads=leads)

    async def _agent(self, matter: Matter, recalled: Recalled) -> Agent:
        messages = self.memory.window(recalled, self.desk.system_message(self.now()), matter.message)
        customer = Customer(matter.tenant, matter.session_id, matter.request_id)

        async def ask(messages: Sequence[Message], done: Done, *, final: bool) -> Source:
            return await self.tiers.ask(matter, messages, done, final=final)

        async def run(call: ToolCall) -> ToolResult:
            result = await self.desk.call(call.name, call.arguments, customer)
            name = call.name if call.name in self.tool_names else "unknown"
            self.metrics.tools.labels(name, "ok" if result.ok else "failed").inc()
            return result

        async def carry_on(messages: Sequence[Message], text: str) -> Source | None:
            return await self.tiers.carry_on(matter, messages, text)

        return await Agent.open(messages, ask, run, carry_on)

    def _keep(self, key: Key, matter: Matter, done: Done) -> None:
        """Puts an answer into the cache, if it is one that may be there."""
        may = storable(
            first_turn=True,
            sensitive=matter.sensitive or label_of([done.text], self.detector) is Label.SENSITIVE,
            route_ttl_s=matter.route.cache_s,
            temperature=self.settings.chat.temperature,
            max_temperature=self.settings.cache.max_temperature,
            outcome_ok=done.whole and done.tiers[-1] in GENERATED,
            resumed=done.resumed > 0 or len(done.tiers) > len(set(done.tiers)) + MAX_ROUNDS,
            finish_reason=done.finish_reason,
            changed=done.changed,
            tools_failed=done.tools_failed,
        )
        if may:
            self.cache.store(
                key, CachedAnswer(done.text, done.tiers[-1], self.now(), done.finish_reason or "stop"), self.now()
            )
