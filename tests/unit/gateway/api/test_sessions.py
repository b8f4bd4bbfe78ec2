"""What a customer's key opens of what was said: the list, the file, and the deletion, of its tenant's conversations."""

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from gateway.api import sessions as door
from gateway.api.responses import error_response
from gateway.auth import Keyring
from gateway.errors import GatewayError
from gateway.sessions import Session, new_id
from gateway.settings import Listen, Sessions, Settings
from gateway.stores.database import Database
from gateway.stores.session_rows import MESSAGES
from gateway.stores.sessions import SessionStore
from gateway.writers import Writers
from tests.unit.gateway.manual_clock import ManualClock

pytestmark = pytest.mark.anyio

KEY, NEW_KEY, OTHER_KEY = "the-old-key-of-the-site", "the-new-key-of-the-site", "the-key-of-the-kiosk"
KEYS = [f"website:{KEY}", f"website:{NEW_KEY}", f"kiosk:{OTHER_KEY}"]
UNKNOWN = new_id(lambda count: b"?" * count)
PATH = "/api/sessions"


@dataclass(frozen=True)
class Keeper:
    """As much of a gateway as the door needs."""

    keys: Keyring
    settings: Settings
    sessions: SessionStore
    writers: Writers
    database: Database


@pytest.fixture
def keeper(clock: ManualClock) -> Iterator[Keeper]:
    settings = Settings(
        listen=Listen(),
        replica_urls=("http://replica-0",),
        api_keys=(),
        onprem_key=SecretStr("k"),
        sessions=Sessions(busy_wait_s=0.001),
    )
    with closing(Database("sqlite://")) as database:
        yield Keeper(Keyring(KEYS), settings, SessionStore(database, clock), Writers(), database)


async def rendered(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)
    return error_response(error, "req_1")


@pytest.fixture
async def client(keeper: Keeper) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(door.routes())
    app.add_exception_handler(GatewayError, rendered)

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {"gateway": keeper}}, receive, send)

    told = {"authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(with_state), base_url="http://gateway", headers=told
    ) as client:
        yield client


def as_caller(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def begun(keeper: Keeper, question: str = "Any SUVs?", tenant: str = "website") -> Session:
    said = [{"role": "user", "content": question}, {"role": "assistant", "content": "Yes."}]
    return await keeper.sessions.append(await keeper.sessions.open(tenant, None), said, "replica-1")


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


# ---- who is let in


@pytest.mark.parametrize("sent", [{}, as_caller("nobodys-key-at-all"), {"authorization": "Basic eDp5"}])
@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", f"/{UNKNOWN}"), ("DELETE", f"/{UNKNOWN}")])
async def test_without_a_valid_key_nothing_is_told(
    client: httpx.AsyncClient, method: str, path: str, sent: dict[str, str]
) -> None:
    client.headers.pop("authorization")
    assert code(await client.request(method, PATH + path, headers=sent)) == (401, "invalid_api_key")


async def test_a_new_key_of_the_same_tenant_opens_what_the_old_one_did(
    client: httpx.AsyncClient, keeper: Keeper
) -> None:
    session = await begun(keeper)
    exported = await client.get(f"{PATH}/{session.id}", headers=as_caller(NEW_KEY))
    assert exported.json() == (await client.get(f"{PATH}/{session.id}")).json()


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_anothers_conversation_is_answered_like_one_that_is_not_there(
    client: httpx.AsyncClient, keeper: Keeper, method: str
) -> None:
    theirs = await begun(keeper, tenant="kiosk")
    answers = [await client.request(method, f"{PATH}/{name}") for name in (theirs.id, UNKNOWN, "no-id-of-ours")]
    assert {code(answer) for answer in answers} == {(404, "session_not_found")}
    assert len({answer.content for answer in answers}) == 1
    assert (await keeper.sessions.open("kiosk", theirs.id)).messages == theirs.messages


# ---- the list


async def test_the_list_has_ones_own_conversations_the_newest_first(
    client: httpx.AsyncClient, keeper: Keeper, clock: ManualClock
) -> None:
    first = await begun(keeper)
    clock.advance(5)
    second = await keeper.sessions.mark_sensitive(await begun(keeper))
    await begun(keeper, tenant="kiosk")
    answer = await client.get(PATH)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "sessions": [
            {"id": one.id, "created_at": one.created_at, "used_at": one.used_at, "messages": 2, "sensitive": sensitive}
            for one, sensitive in ((second, True), (first, False))
        ]
    }


async def test_the_list_comes_in_pages(client: httpx.AsyncClient, keeper: Keeper, clock: ManualClock) -> None:
    made = []
    for _ in range(3):
        made.append((await begun(keeper)).id)
        clock.advance(1)
    one = (await client.get(PATH, params={"limit": "2"})).json()["sessions"]
    two = (await client.get(PATH, params={"limit": "2", "before": one[-1]["id"]})).json()["sessions"]
    assert [summary["id"] for summary in [*one, *two]] == made[::-1]


async def test_a_page_has_a_size_when_none_is_asked_for(client: httpx.AsyncClient, keeper: Keeper) -> None:
    for _ in range(door.PAGE + 1):
        await begun(keeper)
    assert len((await client.get(PATH)).json()["sessions"]) == door.PAGE
    everything = await client.get(PATH, params={"limit": str(door.MAX_PAGE)})
    assert len(everything.json()["sessions"]) == door.PAGE + 1


@pytest.mark.parametrize("limit", ["0", "-1", "201", "1e2", "many", "", "9" * 5000, "\u0663"])
async def test_a_page_size_beyond_the_bounds_is_refused(client: httpx.AsyncClient, limit: str) -> None:
    answer = await client.get(PATH, params={"limit": limit})
    assert code(answer) == (422, "invalid_field")
    assert answer.json()["error"]["param"] == "limit"


async def test_a_page_after_a_conversation_that_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    assert code(await client.get(PATH, params={"before": UNKNOWN})) == (404, "session_not_found")


# ---- the file


async def test_an_export_is_a_file_with_all_that_is_kept(client: httpx.AsyncClient, keeper: Keeper) -> None:
    session = await begun(keeper, "Grün, oder \ud83d?")
    answer = await client.get(f"{PATH}/{session.id}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == f'attachment; filename="conversation-{session.id}.json"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "id": session.id,
        "tenant": "website",
        "sensitive": False,
        "messages": list(session.messages),
        "tokens": [None, None],
        "created_at": session.created_at,
        "used_at": session.used_at,
        "replica": "replica-1",
    }


# ---- deletion


async def test_what_is_deleted_is_gone(client: httpx.AsyncClient, keeper: Keeper) -> None:
    session, other = await begun(keeper), await begun(keeper)
    answer = await client.delete(f"{PATH}/{session.id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert code(await client.delete(f"{PATH}/{session.id}")) == (404, "session_not_found")
    assert [summary["id"] for summary in (await client.get(PATH)).json()["sessions"]] == [other.id]
    assert len(keeper.writers) == 0


async def test_a_conversation_that_is_being_answered_is_not_deleted_meanwhile(
    client: httpx.AsyncClient, keeper: Keeper
) -> None:
    session = await begun(keeper)
    answering = await keeper.writers.take(session.id)
    assert code(await client.delete(f"{PATH}/{session.id}")) == (409, "conversation_busy")
    assert (await client.get(f"{PATH}/{session.id}")).status_code == 200
    answering.release()
    assert (await client.delete(f"{PATH}/{session.id}")).status_code == 204


# ---- a database that fails


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/{id}"), ("DELETE", "/{id}")])
async def test_where_the_database_fails_one_is_told_to_come_again(
    client: httpx.AsyncClient, keeper: Keeper, method: str, path: str
) -> None:
    session = await begun(keeper, "a customer's words")
    await keeper.database.write(lambda connection: MESSAGES.drop(connection))
    answer = await client.request(method, PATH + path.format(id=session.id))
    assert code(answer) == (503, "store_unavailable")
    assert answer.json()["error"]["retryable"]
    assert "table" not in answer.text
    assert len(keeper.writers) == 0
