"""What is kept of a conversation, for whom, for how long, and that nothing of it is left once it is deleted."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import InvalidField, SessionNotFound
from gateway.ports import StoreFailed
from gateway.sessions import Message, Session, Summary, is_id, new_id
from gateway.stores.database import Database
from gateway.stores.session_rows import MESSAGES, SESSIONS
from gateway.stores.sessions import EXPIRE_AT_ONCE, SessionStore
from tests.unit.gateway.manual_clock import ManualClock

pytestmark = pytest.mark.anyio

SITE, OTHER = "website", "kiosk"
DAY_S = 86400.0
UNKNOWN = new_id(lambda count: b"?" * count)

CALL: Message = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"q": "SUV"}'}}],
}
RESULT: Message = {"role": "tool", "tool_call_id": "c1", "content": '[{"price": 21500}]'}


def turn(question: str, answer: str = "Yes.") -> list[Message]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'gateway.db'}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with closing(Database(url)) as database:
        yield database


@pytest.fixture
def store(database: Database, clock: ManualClock) -> SessionStore:
    return SessionStore(database, clock)


async def begun(store: SessionStore, question: str = "Any SUVs?", tenant: str = SITE) -> Session:
    return await store.append(await store.open(tenant, None), turn(question))


async def rows(database: Database) -> tuple[int, int]:
    """How many conversations and how many messages there are."""

    def count(connection):
        return tuple(len(connection.execute(table.select()).all()) for table in (SESSIONS, MESSAGES))

    return await database.read(count)


def content_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


# ---- opening


async def test_a_first_contact_gets_an_id_and_leaves_no_row(store: SessionStore, database: Database) -> None:
    session = await store.open(SITE, None)
    assert is_id(session.id)
    assert (session.tenant, session.sensitive, session.messages, session.tokens) == (SITE, False, (), ())
    assert not session.stored
    assert (await store.open(SITE, None)).id != session.id
    assert await rows(database) == (0, 0)


async def test_a_conversation_is_found_again_as_it_was_left(store: SessionStore, clock: ManualClock) -> None:
    session = await store.open(SITE, None)
    began = clock()
    clock.advance(7)
    messages = [turn("Any SUVs?")[0], CALL, RESULT, {"role": "assistant", "content": "One, in blue."}]
    left = await store.append(session, messages, "replica-1", [4, 20, None, 6])
    found = await store.open(SITE, session.id)
    assert found == left
    assert (found.messages, found.tokens, found.replica) == (tuple(messages), (4, 20, None, 6), "replica-1")
    assert (found.created_at, found.used_at, found.stored) == (began, began + 7, True)


async def test_it_survives_a_restart_and_a_new_key_of_its_tenant(url: str, clock: ManualClock) -> None:
    with closing(Database(url)) as database:
        session = await begun(SessionStore(database, clock))
        session = await SessionStore(database, clock).mark_sensitive(session)
    with closing(Database(url)) as database:
        found = await SessionStore(database, clock).open(SITE, session.id)
    assert found == session
    assert found.sensitive


async def test_another_tenants_conversation_is_as_good_as_none(store: SessionStore) -> None:
    session = await begun(store)
    with pytest.raises(SessionNotFound) as caught:
        await store.open(OTHER, session.id)
    with pytest.raises(SessionNotFound) as unknown:
        await store.export(SITE, UNKNOWN)
    assert str(caught.value) == str(unknown.value)


@pytest.mark.parametrize("given", ["", "42", "s_short", "../etc/passwd", "' OR 1=1 --"])
async def test_what_is_no_id_of_ours_is_refused(store: SessionStore, given: str) -> None:
    with pytest.raises(InvalidField) as caught:
        await store.open(SITE, given)
    assert caught.value.param == "sessionId"


async def test_an_id_of_ours_that_is_not_known_is_begun_anew_as_sensitive(
    store: SessionStore, database: Database
) -> None:
    session = await store.open(SITE, UNKNOWN)
    assert (session.id, session.sensitive, session.messages, session.stored) == (UNKNOWN, True, (), False)
    assert session == store.fresh(SITE, UNKNOWN)
    assert await rows(database) == (0, 0)
    await store.append(session, turn("Hello again"))
    assert (await store.open(SITE, UNKNOWN)).sensitive


async def test_of_two_tenants_who_begin_the_same_id_the_first_to_write_has_it(store: SessionStore) -> None:
    first, second = await store.open(SITE, UNKNOWN), await store.open(OTHER, UNKNOWN)
    await store.append(first, turn("mine"))
    for write in (store.append(second, turn("theirs")), store.mark_sensitive(second)):
        with pytest.raises(StoreFailed):
            await write
    assert (await store.open(SITE, UNKNOWN)).messages == tuple(turn("mine"))


# ---- the label


async def test_a_mark_is_written_before_the_first_turn(store: SessionStore, url: str, clock: ManualClock) -> None:
    session = await store.mark_sensitive(await store.open(SITE, None))
    assert session.sensitive and session.stored
    with closing(Database(url)) as elsewhere:
        assert (await SessionStore(elsewhere, clock).open(SITE, session.id)).sensitive


async def test_the_label_never_goes_down(store: SessionStore) -> None:
    before = await begun(store)
    await store.mark_sensitive(before)
    assert not before.sensitive, "a value from before the mark, as a slow turn has it"
    after = await store.append(before, turn("And in red?"))
    assert after.sensitive
    assert (await store.open(SITE, before.id)).sensitive


async def test_marking_twice_changes_nothing_of_what_was_said(store: SessionStore) -> None:
    session = await begun(store)
    marked = await store.mark_sensitive(await store.mark_sensitive(session))
    assert await store.open(SITE, session.id) == marked
    assert marked.messages == session.messages


# ---- adding


async def test_a_turn_is_added_to_what_is_in_the_store_and_not_to_what_its_writer_remembers(
    store: SessionStore,
) -> None:
    stale = await begun(store, "first")
    await store.append(stale, turn("second"))
    third = await store.append(stale, turn("third"))
    assert third.messages == (*turn("first"), *turn("second"), *turn("third"))
    assert third == await store.open(SITE, stale.id)


async def test_adding_nothing_is_a_visit(store: SessionStore, clock: ManualClock) -> None:
    session = await begun(store)
    clock.advance(5)
    visited = await store.append(session, [])
    assert (visited.messages, visited.used_at) == (session.messages, session.used_at + 5)


async def test_any_text_that_json_can_say_is_kept(store: SessionStore) -> None:
    odd = "половина \ud83d и \x00, 車, 🚗"
    session = await store.append(await store.open(SITE, None), turn(odd))
    assert (await store.open(SITE, session.id)).messages[0]["content"] == odd


async def test_counts_of_other_messages_are_a_fault_and_write_nothing(store: SessionStore, database: Database) -> None:
    with pytest.raises(ValueError, match="zip"):
        await store.append(await store.open(SITE, None), turn("Hi"), None, [1])
    assert await rows(database) == (0, 0)


async def test_beyond_the_bound_the_oldest_exchanges_go(database: Database, clock: ManualClock) -> None:
    store = SessionStore(database, clock, max_messages=5)
    session = await begun(store, "1")
    session = await store.append(session, turn("2"))
    session = await store.append(session, turn("3"), None, [1, 2])
    assert session.messages == (*turn("2"), *turn("3"))
    assert session.tokens == (None, None, 1, 2)
    assert await store.open(SITE, session.id) == session
    assert await rows(database) == (1, 4)


async def test_the_bound_in_bytes_counts_what_is_written(database: Database, clock: ManualClock) -> None:
    size = sum(len(json.dumps(message, separators=(",", ":"))) for message in turn("1"))
    for max_bytes, left in ((2 * size, 4), (2 * size - 1, 2)):
        store = SessionStore(database, clock, max_bytes=max_bytes)
        session = await store.append(await begun(store, "1"), turn("2"))
        assert len(session.messages) == left
        assert await store.open(SITE, session.id) == session


async def test_of_a_first_turn_that_is_beyond_the_bound_the_last_exchange_is_written(
    database: Database, clock: ManualClock
) -> None:
    store = SessionStore(database, clock, max_messages=2)
    session = await store.append(await store.open(SITE, None), [*turn("before"), *turn("now")])
    assert session.messages == tuple(turn("now"))
    assert session == await store.open(SITE, session.id)
    session = await store.append(session, turn("next"))
    assert (await store.open(SITE, session.id)).messages == tuple(turn("next"))


# ---- listing


async def test_a_list_has_the_tenants_own_the_newest_first(store: SessionStore, clock: ManualClock) -> None:
    assert await store.listing(SITE, 10) == []
    first = await begun(store, "first")
    clock.advance(1)
    await begun(store, "theirs", OTHER)
    second = await store.mark_sensitive(await store.open(SITE, None))
    clock.advance(1)
    first = await store.append(first, turn("more"))
    assert await store.listing(SITE, 10) == [
        Summary(second.id, second.created_at, second.used_at, 0, True),
        Summary(first.id, first.created_at, first.used_at, 4, False),
    ]


async def test_pages_follow_each_other_without_a_gap_even_where_all_began_at_once(
    store: SessionStore, clock: ManualClock
) -> None:
    begun_ids = []
    for number in range(7):
        clock.advance(number // 4)
        begun_ids.append((await begun(store)).id)
    pages, before = list[list[str]](), None
    while page := await store.listing(SITE, 3, before):
        pages.append([summary.id for summary in page])
        before = page[-1].id
    assert [len(page) for page in pages] == [3, 3, 1]
    assert sorted(sum(pages, list[str]())) == sorted(begun_ids)


async def test_nobody_pages_from_anothers_conversation(store: SessionStore) -> None:
    theirs = await begun(store, tenant=OTHER)
    for before in (theirs.id, UNKNOWN):
        with pytest.raises(SessionNotFound):
            await store.listing(SITE, 10, before)


# ---- handing out and deleting


async def test_an_export_has_everything_that_is_kept(store: SessionStore, clock: ManualClock) -> None:
    session = await store.append(await store.open(SITE, None), [*turn("Any SUVs?"), CALL, RESULT], "replica-2")
    session = await store.mark_sensitive(session)
    exported = await store.export(SITE, session.id)
    assert exported == {
        "id": session.id,
        "tenant": SITE,
        "sensitive": True,
        "messages": (*turn("Any SUVs?"), CALL, RESULT),
        "tokens": (None,) * 4,
        "created_at": clock(),
        "used_at": clock(),
        "replica": "replica-2",
    }
    columns = {*SESSIONS.c.keys(), *MESSAGES.c.keys()} - {"session_id", "number", "message"}
    assert set(exported) == columns | {"messages"}
    with pytest.raises(SessionNotFound):
        await store.export(OTHER, session.id)


async def test_a_deleted_conversation_is_gone_and_the_others_are_not(store: SessionStore, database: Database) -> None:
    session, other = await begun(store), await begun(store)
    assert await store.delete(SITE, session.id)
    assert not await store.delete(SITE, session.id)
    assert await rows(database) == (1, 2)
    assert (await store.open(SITE, session.id)).sensitive, "nobody can say what was said"
    assert (await store.open(SITE, other.id)).messages == other.messages


async def test_nobody_deletes_anothers_conversation(store: SessionStore) -> None:
    session = await begun(store)
    assert not await store.delete(OTHER, session.id)
    assert await store.open(SITE, session.id) == session


async def test_a_turn_that_was_under_way_does_not_bring_a_deleted_conversation_back(
    store: SessionStore, database: Database
) -> None:
    session = await begun(store)
    await store.delete(SITE, session.id)
    assert (await store.mark_sensitive(session)).sensitive
    left = await store.append(session, turn("And in red?"))
    assert (left.messages, left.tokens) == ((), ())
    assert await rows(database) == (0, 0)


@pytest.mark.parametrize("how", ["deleted", "expired"])
async def test_no_byte_of_what_is_gone_is_left_in_the_files(
    store: SessionStore, tmp_path: Path, clock: ManualClock, how: str
) -> None:
    session = await begun(store, "unmistakable-words " * 50)
    assert b"unmistakable-words" in content_of(tmp_path)
    if how == "deleted":
        await store.delete(SITE, session.id)
    else:
        clock.advance(10)
        await store.expire(5)
    assert b"unmistakable-words" not in content_of(tmp_path)


async def test_no_byte_of_an_exchange_beyond_the_bound_is_left_once_the_database_is_closed(
    tmp_path: Path, clock: ManualClock
) -> None:
    with closing(Database(f"sqlite:///{tmp_path / 'gateway.db'}")) as database:
        store = SessionStore(database, clock, max_messages=2)
        session = await begun(store, "unmistakable-words " * 50)
        await store.append(session, turn("next"))
    assert b"next" in content_of(tmp_path)
    assert b"unmistakable-words" not in content_of(tmp_path)


# ---- expiry


async def test_what_nobody_has_used_for_so_long_expires(
    store: SessionStore, database: Database, clock: ManualClock
) -> None:
    old, used = await begun(store), await begun(store)
    clock.advance(29 * DAY_S)
    await store.append(used, turn("still here"))
    marked = await store.mark_sensitive(await store.open(SITE, None))
    clock.advance(1 * DAY_S)
    assert await store.expire(30 * DAY_S) == 0
    clock.advance(1)
    assert await store.expire(30 * DAY_S) == 1
    assert {summary.id for summary in await store.listing(SITE, 10)} == {used.id, marked.id}
    assert (await store.open(SITE, old.id)).messages == ()
    assert (await rows(database))[1] == 4


async def test_more_than_one_transaction_takes_expire_too(store: SessionStore, clock: ManualClock) -> None:
    count = EXPIRE_AT_ONCE + 1
    for _ in range(count):
        await store.mark_sensitive(await store.open(SITE, None))
    clock.advance(10)
    assert await store.expire(5) == count
    assert await store.listing(SITE, 1) == []


# ---- a store that fails


async def test_a_store_that_fails_says_so_and_nothing_of_what_was_said(store: SessionStore, database: Database) -> None:
    session = await begun(store)

    def lose(connection):
        MESSAGES.drop(connection)

    await database.write(lose)
    attempts: list[Callable[[], object]] = [
        lambda: store.open(SITE, session.id),
        lambda: store.append(session, turn("a customer's words")),
        lambda: store.listing(SITE, 10),
        lambda: store.export(SITE, session.id),
        lambda: store.delete(SITE, session.id),
    ]
    for attempt in attempts:
        with pytest.raises(StoreFailed) as caught:
            await attempt()
        assert "words" not in str(caught.value)
