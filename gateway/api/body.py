"""Request bodies: read within a bound, parsed, and checked against a schema, with errors that name the field."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json
from starlette.types import Receive

from gateway.errors import ClientGone, InvalidField, InvalidJson, RequestTooLarge

Schema = TypeVar("Schema", bound=BaseModel)

MAX_DEPTH = 100
"""Of objects and lists in each other. Whatever walks or writes a body has to go down as deep, and Python's own limit is
met at a thousand calls."""

READ_ON_FACTOR = 8
"""Of a body that is too large this many times the bound is read and dropped, because a client that is cut off while it
sends sees a broken connection instead of our answer."""


async def read_json(receive: Receive, max_bytes: int) -> dict[str, Any]:
    """The body as a JSON object. Holds at most `max_bytes` of it. Raises RequestTooLarge, InvalidJson, ClientGone."""
    parts: list[bytes] = []
    size = 0
    more = True
    while more and size <= max_bytes * READ_ON_FACTOR:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone("The client left.")
        part = message.get("body", b"")
        size += len(part)
        if size <= max_bytes:
            parts.append(part)
        more = message.get("more_body", False)
    if size > max_bytes:
        raise RequestTooLarge(f"The body is larger than {max_bytes} bytes. Send a shorter conversation.")
    raw = b"".join(parts)
    try:
        body = msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidJson(f"The body is not valid JSON: {_what_is_wrong(raw) or error}.") from error
    if not isinstance(body, dict):
        raise InvalidJson("The body must be a JSON object.")
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _deeper_than(MAX_DEPTH, body):
        raise InvalidJson(f"The body is nested deeper than {MAX_DEPTH} levels.")
    return body


def _what_is_wrong(raw: bytes) -> str:
    """By line and column, in words that a person understands; "" for what this parser, which is slower, lets pass."""
    try:
        from_json(raw, allow_inf_nan=False, cache_strings=False)
    except ValueError as error:
        return str(error)
    return ""


def _deeper_than(levels: int, body: dict[str, Any]) -> bool:
    level: list[Any] = [body]
    for _ in range(levels):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
    return bool(level)


def check(schema: type[Schema], body: Mapping[str, Any]) -> Schema:
    """`body` as `schema` sees it. Raises InvalidField, naming the first field at fault."""
    try:
        return schema.model_validate(body)
    except ValidationError as error:
        # Of a union's alternatives the one that fitted furthest says most.
        problem = max(error.errors(include_url=False), key=lambda one: len(_path(one, body)))
        param = _dotted(_path(problem, body))
        raise InvalidField(f"{param}: {problem['msg']}.", param=param) from None


def _path(problem: ErrorDetails, body: Any) -> list[str | int]:
    """The problem's place in the body as the client wrote it, without pydantic's names for a union's alternatives."""
    path: list[str | int] = []
    here = body
    for step in problem["loc"]:
        if isinstance(here, dict) and step in here:
            here = here[step]
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
        elif problem["type"] != "missing" or step != problem["loc"][-1]:
            continue
        path.append(step)
    return path


def _dotted(path: list[str | int]) -> str:
    return ".".join(str(step) for step in path)
