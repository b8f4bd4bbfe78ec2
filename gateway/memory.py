"""What a conversation is known by: its turns so far, and whether anything sensitive was ever said in it.

Between the conversation and the store of sessions. Promises: the label goes up in the store before it is acted upon;
where the store cannot be asked, or cannot be told, the conversation is sensitive and nothing of it is written; a turn is
written whole, and the next message of its conversation waits for that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.background import Background
from gateway.logs import Log
from gateway.ports import StoreFailed
from gateway.privacy.detector import Detector
from gateway.privacy.label import Label, label_of
from gateway.sessions import Message, Session, window
from gateway.tokens import TokenCounter
from gateway.turn import Turn
from gateway.writers import WriterTurn


class SessionStore(Protocol):
    """Where sessions are kept. All of it raises StoreFailed."""

    def fresh(self, tenant: str, session_id: str | None) -> Session:
        """A session that is not written yet."""

    async def open(self, tenant: str, session_id: str | None) -> Session:
        """Raises SessionNotFound, InvalidField."""

    async def mark_sensitive(self, session: Session) -> Session: ...
    async def append(
        self, session: Session, messages: Sequence[Message], replica: str | None, tokens: Sequence[int | None] | None
    ) -> Session: ...


class Marks(Protocol):
    """The egress ledger's list of sensitive conversations."""

    async def mark_sensitive(self, conversation: str, tenant: str) -> None: ...


class Counter(Protocol):
    """Counts tokens, as exactly as the limit needs."""

    async def count(self, messages: Sequence[Message], known: Sequence[int | None], limit_tokens: int) -> list[int]: ...


@dataclass(slots=True)
class Recalled:
    """A conversation as a new message finds it. `kept`: whether its store can be relied upon."""

    session: Session
    conversation: str
    sensitive: bool
    previous: tuple[Message, ...] = ()
    kept: bool = True

    @property
    def history(self) -> tuple[Message, ...]:
        """The messages before: ours, or where we have none those that the client has sent."""
        return self.session.messages or self.previous

    @property
    def earlier(self) -> list[str]:
        """What the customer has said before, oldest first."""
        return [str(message["content"]) for message in self.history if message["role"] == "user"]


@dataclass(frozen=True, slots=True)
class Memory:
    """Recalls, labels and writes down."""

    store: SessionStore
    marks: Marks
    counter: TokenCounter
    detector: Detector
    background: Background
    log: Log
    hash_of: Callable[[str, str], str]
    tools: Sequence[dict[str, Any]]
    context_tokens: int
    answer_tokens: int

    async def recall(self, tenant: str, session_id: str | None, previous: tuple[Message, ...]) -> Recalled:
        """The conversation, or a new one. Raises GatewayError."""
        try:
            session, kept = await self.store.open(tenant, session_id), True
        except StoreFailed as error:
            self.log.error("store", what="a session could not be read", why=str(error))
            session, kept = self.store.fresh(tenant, session_id), False
        sensitive = session.sensitive or not kept
        return Recalled(session, self.hash_of(tenant, session.id), sensitive, previous, kept)

    async def label(self, recalled: Recalled, label: Label) -> None:
        """The conversation's label is at least this one from now on, and the store knows before anybody acts on it."""
        if label is Label.SENSITIVE:
            recalled.sensitive = True
        # One whose id we do not know is sensitive as it is, and not written down as such yet.
        if not recalled.sensitive or (recalled.session.sensitive and recalled.session.stored):
            return
        if not recalled.kept:
            return
        try:
            await self.marks.mark_sensitive(recalled.conversation, recalled.session.tenant)
            recalled.session = await self.store.mark_sensitive(recalled.session)
        except StoreFailed as error:
            recalled.kept = False
            self.log.error("store", what="a label could not be written", why=str(error))

    def window(self, recalled: Recalled, system: Message, message: str) -> list[Message]:
        """What the model is sent: as much of the conversation as fits. Raises ContextLengthExceeded."""
        asked: Message = {"role": "user", "content": message}
        history = list(recalled.history)
        known = recalled.session.tokens if recalled.session.messages else (None,) * len(history)
        counts = [
            count if count is not None else self.counter.message(told)
            for told, count in zip([system, *history, asked], [None, *known, None], strict=True)
        ]
        limit = self.context_tokens - self.answer_tokens - self.counter.overhead(self.tools)
        return window(system, history, asked, counts=counts, limit_tokens=limit)

    async def write(self, recalled: Recalled, messages: Sequence[Message], replica: str | None) -> None:
        """Adds a turn. Raises nothing: what could not be written is logged."""
        said = [str(message.get("content") or "") for message in messages]
        await self.label(recalled, label_of(said, self.detector))
        if not recalled.kept:
            return
        try:
            await self.store.append(recalled.session, messages, replica, self.counter.messages(messages))
        except StoreFailed as error:
            self.log.error("store", what="a turn could not be written", why=str(error))


@dataclass(slots=True)
class Writing:
    """How one turn is written down, once. It holds the conversation's writer until that is done."""

    memory: Memory
    recalled: Recalled
    message: str
    writer: WriterTurn
    began: bool = field(default=False)

    async def now(self, turn: Turn) -> None:
        """Before the client is told that the answer is whole."""
        self.began = True
        try:
            await self._write(turn)
        finally:
            self.writer.release()

    def later(self, turn: Turn) -> None:
        """The client has left, or the answer has broken: what was seen of it is written beside."""
        if self.began:
            return
        self.began = True
        if turn.text:
            self.memory.background.start(self._write_and_release(turn))
        else:
            self.writer.release()

    async def _write_and_release(self, turn: Turn) -> None:
        try:
            await self._write(turn)
        finally:
            self.writer.release()

    async def _write(self, turn: Turn) -> None:
        asked: Message = {"role": "user", "content": self.message}
        replica = turn.served.replica if turn.served is not None else None
        history = list(self.recalled.previous) if not self.recalled.session.messages else []
        await self.memory.write(self.recalled, [*history, asked, *turn.messages()], replica)
