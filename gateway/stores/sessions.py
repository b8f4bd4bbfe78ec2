"""Where conversations are kept, behind `gateway.memory` and the customers' door in `gateway.api.sessions`.

Promises: a conversation is seen and written by the tenant that opened it alone; its label only goes up; an id that is
ours but not known (deleted, expired, lost with its store) counts as sensitive, since nobody can say what was said; and
what is deleted stays deleted, even by a turn that was under way.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, select, update

from gateway.errors import InvalidField, SessionNotFound
from gateway.sessions import Message, Session, Summary, first_to_keep, is_id, new_id
from gateway.stores import session_rows as rows
from gateway.stores.database import Database
from gateway.stores.session_rows import SESSIONS, Line, theirs

MAX_BYTES = 1024 * 1024
"""A judgment: some ten times what fits a context of 32k tokens."""

EXPIRE_AT_ONCE = 200
"""Conversations that one transaction deletes: whoever writes a turn meanwhile waits for it."""


class SessionStore:
    """The conversations of all tenants. Every method but `fresh` raises StoreFailed. Makes its tables.

    `now` is the time of day in epoch seconds; `max_messages` and `max_bytes` bound a conversation, whose oldest
    exchanges go first.
    """

    def __init__(
        self,
        database: Database,
        now: Callable[[], float],
        *,
        max_messages: int = 400,
        max_bytes: int = MAX_BYTES,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._now = now
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._random_bytes = random_bytes
        database.create(rows.METADATA)

    def fresh(self, tenant: str, session_id: str | None) -> Session:
        """A conversation that is not written yet. One that has an id already is sensitive: see above."""
        now, sensitive = self._now(), session_id is not None
        return Session(session_id or new_id(self._random_bytes), tenant, sensitive, (), (), now, now)

    async def open(self, tenant: str, session_id: str | None) -> Session:
        """The conversation of that id, or a fresh one. Raises InvalidField for what is no id of ours, SessionNotFound
        for another tenant's."""
        if session_id is None:
            return self.fresh(tenant, None)
        if not is_id(session_id):
            raise InvalidField("sessionId: not one of ours. Leave it out to begin a conversation.", param="sessionId")
        row, lines = await self._database.read(lambda connection: rows.find(connection, SESSIONS.c.id == session_id))
        if row is None:
            return self.fresh(tenant, session_id)
        if row.tenant != tenant:
            raise _not_found()
        return rows.as_session(row, lines)

    async def mark_sensitive(self, session: Session) -> Session:
        """The conversation, sensitive from now on; that is committed on return. Writes it if it was not written yet.

        Of one that was deleted meanwhile nothing is written: its id is sensitive as it is.
        """
        marked = replace(session, sensitive=True, used_at=self._now())

        def work(connection: Connection) -> None:
            changed = connection.execute(
                update(SESSIONS).where(theirs(marked.tenant, marked.id)).values(sensitive=True, used_at=marked.used_at)
            )
            if not changed.rowcount and not session.stored:
                rows.begin(connection, marked)

        await self._database.write(work)
        return replace(marked, stored=True)

    async def append(
        self,
        session: Session,
        messages: Sequence[Message],
        replica: str | None = None,
        tokens: Sequence[int | None] | None = None,
    ) -> Session:
        """The conversation with these messages added, in one transaction; `tokens` are their counts, if known.

        Of one that was deleted meanwhile nothing is written, and nothing is left.
        """
        used_at = self._now()

        def work(connection: Connection) -> Session:
            row, before = rows.find(connection, theirs(session.tenant, session.id))
            if row is None:
                if session.stored:
                    return rows.with_lines(session, [])
                rows.begin(connection, session)
            found = session if row is None else rows.as_session(row, [])
            grown = replace(
                found, sensitive=found.sensitive or session.sensitive, used_at=used_at, replica=replica, stored=True
            )
            connection.execute(
                update(SESSIONS)
                .where(theirs(grown.tenant, grown.id))
                .values(sensitive=grown.sensitive, used_at=grown.used_at, replica=grown.replica)
            )
            added = rows.lines_of(messages, tokens, before[-1].number + 1 if before else 0)
            return rows.with_lines(grown, self._bounded(connection, session.id, before, added))

        return await self._database.write(work)

    def _bounded(self, connection: Connection, session_id: str, before: list[Line], added: list[Line]) -> list[Line]:
        """Writes what is added, and deletes what is then beyond the bounds. Returns what is left."""
        lines = [*before, *added]
        first = first_to_keep(
            [line.message for line in lines],
            [len(line.body) for line in lines],
            max_messages=self._max_messages,
            max_bytes=self._max_bytes,
        )
        rows.add(connection, session_id, lines[max(first, len(before)) :])
        if first:
            rows.cut(connection, session_id, lines[first].number)
        return lines[first:]

    async def listing(self, tenant: str, limit: int, before: str | None = None) -> list[Summary]:
        """A tenant's conversations, the newest first; `before` is the last one of the page before this one.

        Ordered by when they began, which does not change while one pages. Raises SessionNotFound where `before` is not
        there.
        """

        def work(connection: Connection) -> list[Summary]:
            if before is None:
                return rows.page(connection, tenant, limit, None)
            after, _ = rows.find(connection, theirs(tenant, before))
            if after is None:
                raise _not_found()
            return rows.page(connection, tenant, limit, after)

        return await self._database.read(work)

    async def export(self, tenant: str, session_id: str) -> dict[str, Any]:
        """All that is kept of a conversation. Raises SessionNotFound."""
        row, lines = await self._database.read(lambda connection: rows.find(connection, theirs(tenant, session_id)))
        if row is None:
            raise _not_found()
        kept = asdict(rows.as_session(row, lines))
        del kept["stored"]
        return kept

    async def delete(self, tenant: str, session_id: str) -> bool:
        """Whether there was such a conversation of this tenant. No row of it is left, nor its text in SQLite's file."""

        def work(connection: Connection) -> bool:
            found = connection.execute(select(SESSIONS.c.id).where(theirs(tenant, session_id))).scalars().all()
            rows.erase(connection, found)
            return bool(found)

        deleted = await self._database.write(work)
        if deleted:
            await self._database.read(rows.empty_journal)
        return deleted

    async def expire(self, older_than_s: float) -> int:
        """Deletes the conversations that were not used for so long, and says how many there were."""
        idle = select(SESSIONS.c.id).where(SESSIONS.c.used_at < self._now() - older_than_s).limit(EXPIRE_AT_ONCE)

        def work(connection: Connection) -> int:
            found = connection.execute(idle).scalars().all()
            rows.erase(connection, found)
            return len(found)

        removed = 0
        while gone := await self._database.write(work):
            removed += gone
        if removed:
            await self._database.read(rows.empty_journal)
        return removed


def _not_found() -> SessionNotFound:
    """The same for an id that is not known and for one that is another's."""
    return SessionNotFound("There is no such conversation.")
