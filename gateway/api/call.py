"""A request's headers, as the core wants to have them."""

from collections.abc import Awaitable, Callable

from fastapi import Request

from gateway.api.request_id import request_id
from gateway.chat import Call, Question
from gateway.settings import Route
from shared import headers


def call_of(request: Request, endpoint: str, route: Route, read: Callable[[], Awaitable[Question]]) -> Call:
    """One call at the front door `endpoint`."""
    given = request.headers
    return Call(
        endpoint,
        route,
        request_id(request.scope),
        given.get(headers.AUTHORIZATION),
        given.get(headers.DEADLINE_MS),
        given.get(headers.PRIORITY),
        read,
    )
