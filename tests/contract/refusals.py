"""What a server says when it refuses: per fault the status, the shape of the body and the code.

Every target promises its own table. The gateway and nginx use OpenAI's shape and codes of a closed set, vLLM has three
shapes of its own, and of a foreign server only the status can be expected.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

import httpx


class Fault(StrEnum):
    """One way to send a request that must be refused."""

    NO_KEY = "no_key"
    WRONG_KEY = "wrong_key"
    UNKNOWN_PATH = "unknown_path"
    WRONG_METHOD = "wrong_method"
    UNKNOWN_MODEL = "unknown_model"
    BAD_JSON = "bad_json"
    NOT_UTF_8 = "not_utf_8"
    NOT_AN_OBJECT = "not_an_object"
    WRONG_TYPE = "wrong_type"
    NO_MESSAGES = "no_messages"
    OUT_OF_RANGE = "out_of_range"
    CONTEXT_OVERFLOW = "context_overflow"
    BODY_TOO_LARGE = "body_too_large"


class Shape(Enum):
    """How a body says what is wrong."""

    OPENAI = "{'error': {'message', 'type', 'param', 'code'}}"
    STRING = "{'error': '...'}"
    DETAIL = "{'detail': '...'}"
    ANY = "any JSON object"


@dataclass(frozen=True)
class Refusal:
    """What to expect. `code` None means that the server promises none."""

    status: tuple[int, ...]
    code: str | int | None = None
    shape: Shape = Shape.OPENAI


VLLM: Mapping[Fault, Refusal] = {
    Fault.NO_KEY: Refusal((401,), shape=Shape.STRING),
    Fault.WRONG_KEY: Refusal((401,), shape=Shape.STRING),
    Fault.UNKNOWN_PATH: Refusal((404,), shape=Shape.DETAIL),
    Fault.WRONG_METHOD: Refusal((405,), shape=Shape.DETAIL),
    Fault.UNKNOWN_MODEL: Refusal((404,), 404),
    Fault.BAD_JSON: Refusal((400,), 400),
    Fault.NOT_UTF_8: Refusal((400,), shape=Shape.DETAIL),
    Fault.NOT_AN_OBJECT: Refusal((400,), 400),
    Fault.WRONG_TYPE: Refusal((400,), 400),
    Fault.NO_MESSAGES: Refusal((400,), 400),
    Fault.OUT_OF_RANGE: Refusal((400,), 400),
    Fault.CONTEXT_OVERFLOW: Refusal((400,), 400),
}
"""vLLM 0.32: an integer code that repeats the status, and other shapes where FastAPI or its key check answers."""

NGINX: Mapping[Fault, Refusal] = {
    **VLLM,
    Fault.NO_KEY: Refusal((401,), "invalid_api_key"),
    Fault.WRONG_KEY: Refusal((401,), "invalid_api_key"),
    Fault.UNKNOWN_PATH: Refusal((404,), "not_found"),
    Fault.WRONG_METHOD: Refusal((405,), "method_not_allowed"),
    Fault.BODY_TOO_LARGE: Refusal((413,), "request_too_large"),
}
"""nginx answers for what it stops itself and passes on vLLM's answers untouched."""

GATEWAY: Mapping[Fault, Refusal] = {
    Fault.NO_KEY: Refusal((401,), "invalid_api_key"),
    Fault.WRONG_KEY: Refusal((401,), "invalid_api_key"),
    Fault.UNKNOWN_PATH: Refusal((404,), "not_found"),
    Fault.WRONG_METHOD: Refusal((405,), "method_not_allowed"),
    Fault.UNKNOWN_MODEL: Refusal((404,), "model_not_found"),
    Fault.BAD_JSON: Refusal((400,), "invalid_json"),
    Fault.NOT_UTF_8: Refusal((400,), "invalid_json"),
    Fault.NOT_AN_OBJECT: Refusal((400,), "invalid_json"),
    Fault.WRONG_TYPE: Refusal((422,), "invalid_field"),
    Fault.NO_MESSAGES: Refusal((422,), "invalid_field"),
    Fault.OUT_OF_RANGE: Refusal((400,), "invalid_request"),
    Fault.CONTEXT_OVERFLOW: Refusal((400,), "context_length_exceeded"),
    Fault.BODY_TOO_LARGE: Refusal((413,), "request_too_large"),
}
"""The gateway's closed set. What only vLLM can judge (a range) comes back as `invalid_request`."""

ANY_SERVER: Mapping[Fault, Refusal] = {
    Fault.NO_KEY: Refusal((401, 403), shape=Shape.ANY),
    Fault.WRONG_KEY: Refusal((401, 403), shape=Shape.ANY),
    Fault.UNKNOWN_PATH: Refusal((404,), shape=Shape.ANY),
    Fault.WRONG_METHOD: Refusal((404, 405), shape=Shape.ANY),
    Fault.UNKNOWN_MODEL: Refusal((400, 404), shape=Shape.ANY),
    Fault.BAD_JSON: Refusal((400, 422), shape=Shape.ANY),
    Fault.NOT_UTF_8: Refusal((400, 422), shape=Shape.ANY),
    Fault.NOT_AN_OBJECT: Refusal((400, 422), shape=Shape.ANY),
    Fault.WRONG_TYPE: Refusal((400, 422), shape=Shape.ANY),
    Fault.NO_MESSAGES: Refusal((400, 422), shape=Shape.ANY),
    Fault.OUT_OF_RANGE: Refusal((400, 422), shape=Shape.ANY),
    Fault.CONTEXT_OVERFLOW: Refusal((400, 413, 422), shape=Shape.ANY),
}
"""All that is common to the servers that call themselves OpenAI-compatible."""


def check(response: httpx.Response, expected: Refusal) -> dict[str, Any]:
    """Asserts status, content type, shape and code. Returns the error object, {} where the shape has none."""
    assert response.status_code in expected.status, f"{response.status_code}: {response.text[:300]}"
    assert response.headers["content-type"].startswith("application/json"), response.headers["content-type"]
    body = response.json()
    assert isinstance(body, dict), body
    if expected.shape is Shape.OPENAI:
        return _openai_error(body, expected.code)
    if expected.shape is Shape.STRING:
        assert isinstance(body["error"], str), body
    if expected.shape is Shape.DETAIL:
        assert isinstance(body["detail"], str), body
    return {}


def _openai_error(body: dict[str, Any], code: str | int | None) -> dict[str, Any]:
    error: dict[str, Any] = body["error"]
    assert {"message", "type", "param", "code"} <= error.keys(), error
    assert isinstance(error["message"], str), error
    assert error["message"].strip(), "an error without words helps nobody"
    assert isinstance(error["type"], str), error
    assert error["param"] is None or isinstance(error["param"], str), error
    assert error["code"] == code, error
    return error
