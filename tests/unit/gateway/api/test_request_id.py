"""Every request has an id, every answer tells it, and a client's own id is kept where it looks like one."""

import re

import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.api.request_id import RequestId, request_id

pytestmark = pytest.mark.anyio

OURS = re.compile(r"req_[0-9a-f]{24}")
GOOD = ["12345678", "req_0a1b2c3d", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "trace:1.2_3-4", "x" * 128]
BAD = [
    *("", "1234567", "x" * 129, "with a space", "semi;colon", "new\nline", "ünïcode-id", '"quoted"', "12345678\n"),
    *("<script>", "../../etc"),
]


class Answering:
    """An application that answers in two parts, and notes the id that it saw."""

    def __init__(self, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self.headers = headers or [(b"content-type", b"text/plain")]
        self.saw: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.saw = request_id(scope)
        await send({"type": "http.response.start", "status": 200, "headers": list(self.headers)})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})


async def nothing_to_receive() -> Message:
    raise AssertionError("the middleware has nothing to read")


async def ask(app: Answering, *headers: tuple[bytes, bytes]) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await RequestId(app)({"type": "http", "headers": list(headers)}, nothing_to_receive, send)
    return sent


def told(sent: list[Message]) -> list[str]:
    return [value.decode() for name, value in sent[0]["headers"] if name == b"x-request-id"]


async def test_a_request_without_an_id_gets_one_that_the_answer_tells() -> None:
    app = Answering()
    sent = await ask(app)
    assert told(sent) == [app.saw]
    assert OURS.fullmatch(app.saw or "")


async def test_no_two_requests_get_the_same() -> None:
    app = Answering()
    assert len({told(await ask(app))[0] for _ in range(100)}) == 100


@pytest.mark.parametrize("given", GOOD)
async def test_a_clients_own_id_is_kept(given: str) -> None:
    app = Answering()
    assert told(await ask(app, (b"accept", b"*/*"), (b"x-request-id", given.encode()))) == [given]
    assert app.saw == given


@pytest.mark.parametrize("given", BAD)
async def test_what_does_not_look_like_an_id_is_replaced(given: str) -> None:
    app = Answering()
    sent = await ask(app, (b"x-request-id", given.encode()))
    assert OURS.fullmatch(app.saw or "")
    assert told(sent) == [app.saw]


async def test_of_two_ids_the_first_counts() -> None:
    app = Answering()
    await ask(app, (b"x-request-id", b"first-id"), (b"x-request-id", b"second-id"))
    assert app.saw == "first-id"


async def test_an_id_that_the_application_sets_itself_does_not_stand_there_twice() -> None:
    app = Answering([(b"x-request-id", b"another-id")])
    assert told(await ask(app)) == [app.saw]


async def test_the_answer_passes_through_part_by_part() -> None:
    sent = await ask(Answering())
    assert [message.get("body") for message in sent] == [None, b"a", b"b"]
    assert (b"content-type", b"text/plain") in sent[0]["headers"]


async def test_what_is_no_request_passes_untouched() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def send(message: Message) -> None:
        raise AssertionError("nothing is sent")

    lifespan = {"type": "lifespan"}
    await RequestId(app)(lifespan, nothing_to_receive, send)
    assert seen == [{"type": "lifespan"}]
