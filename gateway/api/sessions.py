"""A customer's right to what was said: the caller's conversations listed, handed out and deleted.

The same keys as for the conversation door; a key sees the conversations of its tenant and no others. One that is being
answered cannot be deleted meanwhile: that waits as long as a second message would, and is then refused.
"""

import json
import re
from dataclasses import asdict
from typing import Annotated, Any, Protocol, cast

from fastapi import APIRouter, Depends, Request, Response

from gateway.api.docs import ERRORS
from gateway.auth import Keyring
from gateway.errors import InvalidField, SessionNotFound, StoreUnavailable
from gateway.ports import StoreFailed
from gateway.settings import Settings
from gateway.stores.sessions import SessionStore
from gateway.writers import Writers
from shared import headers
from shared.errors import ErrorBody

PAGE = 50
MAX_PAGE = 200
"""Conversations in one list: a summary has some 150 bytes."""

_WHOLE_NUMBER = re.compile("[0-9]{1,3}")
_PRIVATE = {"cache-control": "no-store"}


class Keeper(Protocol):
    """What these routes need of the conversations."""

    @property
    def keys(self) -> Keyring: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def sessions(self) -> SessionStore: ...
    @property
    def writers(self) -> Writers: ...


class Visitor:
    """One request: the gateway, and the tenant whose key it carries."""

    def __init__(self, keeper: Keeper, tenant: str) -> None:
        self.sessions = keeper.sessions
        self.tenant = tenant
        self._writers = keeper.writers
        self._wait_s = keeper.settings.sessions.busy_wait_s

    async def delete(self, session_id: str) -> None:
        """Raises SessionNotFound, ConversationBusy, StoreFailed."""
        writer = await self._writers.take(session_id, self._wait_s)
        try:
            if not await self.sessions.delete(self.tenant, session_id):
                raise SessionNotFound("There is no such conversation.")
        finally:
            writer.release()


async def _visitor(request: Request) -> Visitor:
    keeper = cast(Keeper, request.state.conversations)
    return Visitor(keeper, keeper.keys.authenticate(request.headers.get(headers.AUTHORIZATION)).tenant)


TheVisitor = Annotated[Visitor, Depends(_visitor)]


def routes() -> APIRouter:
    """The routes of this door."""
    errors = ERRORS | {409: {"model": ErrorBody}}
    router = APIRouter(tags=["conversations"], prefix="/api/sessions", responses=errors)

    @router.get("", summary="Your conversations, the newest first")
    async def listing(visitor: TheVisitor, limit: str | None = None, before: str | None = None) -> Response:
        try:
            found = await visitor.sessions.listing(visitor.tenant, _page_size(limit), before)
        except StoreFailed as error:
            raise _unavailable(error) from error
        return _json({"sessions": [asdict(summary) for summary in found]})

    @router.get("/{session_id}", summary="All that is kept of a conversation, as a file")
    async def export(session_id: str, visitor: TheVisitor) -> Response:
        try:
            kept = await visitor.sessions.export(visitor.tenant, session_id)
        except StoreFailed as error:
            raise _unavailable(error) from error
        return _json(kept, f"conversation-{kept['id']}.json")

    @router.delete("/{session_id}", status_code=204, summary="Delete a conversation, for good")
    async def delete(session_id: str, visitor: TheVisitor) -> Response:
        try:
            await visitor.delete(session_id)
        except StoreFailed as error:
            raise _unavailable(error) from error
        return Response(status_code=204)

    return router


def _page_size(limit: str | None) -> int:
    if limit is None:
        return PAGE
    if _WHOLE_NUMBER.fullmatch(limit) and 1 <= int(limit) <= MAX_PAGE:
        return int(limit)
    raise InvalidField(f"limit: must be a whole number from 1 to {MAX_PAGE}.", param="limit")


def _json(content: dict[str, Any], file_name: str | None = None) -> Response:
    told = dict(_PRIVATE)
    if file_name is not None:
        told["content-disposition"] = f'attachment; filename="{file_name}"'
    # Escaped: a client may have sent half a surrogate pair, which has no UTF-8.
    return Response(json.dumps(content), media_type="application/json", headers=told)


def _unavailable(error: StoreFailed) -> StoreUnavailable:
    return StoreUnavailable(
        "The conversations cannot be looked up at the moment. Try again in a few seconds.",
        retry_after_s=5,
        detail=str(error),
    )
