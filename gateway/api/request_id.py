"""Gives every request an id, and every answer its `x-request-id`: pure ASGI, so that nothing is buffered.

A client's own id is kept where it looks like one, since it may have written it to its log already.
"""

import re
import secrets

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import headers

_SCOPE_KEY = "scout.request_id"
_HEADER = headers.REQUEST_ID.encode()
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._:-]{8,128}")


def request_id(scope: Scope) -> str:
    """The id of the request that `scope` belongs to."""
    return str(scope[_SCOPE_KEY])


def assign_request_id(scope: Scope) -> str:
    """Gives the request its id: the client's own, or a new one."""
    given = next((value for name, value in scope["headers"] if name == _HEADER), b"")
    offered = given.decode("latin-1")
    chosen = offered if _ACCEPTABLE.fullmatch(offered) else f"req_{secrets.token_hex(12)}"
    scope[_SCOPE_KEY] = chosen
    return chosen


class RequestId:
    """The middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        assign_request_id(scope)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[headers.REQUEST_ID] = scope[_SCOPE_KEY]
            await send(message)

        await self._app(scope, receive, send_with_id)
