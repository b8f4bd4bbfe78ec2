"""Everything that must be refused: by which status, in which shape, with which code."""

import json

import httpx
import pytest

from tests.contract.refusals import Fault, check
from tests.contract.targets import Feature
from tests.contract.wire import CHAT, MODELS

DOORS = [pytest.param("GET", MODELS, id="models"), pytest.param("POST", CHAT, id="chat")]
JSON = {"content-type": "application/json"}
HUGE = 64 * 1024 * 1024
"""Bytes: more than anybody's limit."""


def without_key(target, method, path, **headers):
    body = {"model": target.model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    with httpx.Client(base_url=target.url, timeout=30) as http:
        return http.request(method, path, json=body if method == "POST" else None, headers=headers)


@pytest.mark.needs(Feature.AUTH)
@pytest.mark.parametrize(("method", "path"), DOORS)
def test_no_key_is_refused(target, method, path):
    check(without_key(target, method, path), target.refusals[Fault.NO_KEY])


@pytest.mark.needs(Feature.AUTH)
@pytest.mark.parametrize(("method", "path"), DOORS)
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda key: "Bearer wrong", id="another"),
        pytest.param(lambda key: "Bearer", id="empty"),
        pytest.param(lambda key: f"Bearer {key}x", id="longer"),
        pytest.param(lambda key: f"Bearer {key[:-1]}", id="shorter"),
        pytest.param(lambda key: f"Basic {key}", id="other-scheme"),
        pytest.param(lambda key: key, id="no-scheme"),
    ],
)
def test_a_wrong_key_is_refused(target, method, path, spoil):
    response = without_key(target, method, path, authorization=spoil(target.key))
    check(response, target.refusals[Fault.WRONG_KEY])


@pytest.mark.needs(Feature.AUTH)
def test_the_keys_of_the_other_layers_do_not_open_this_one(target):
    for key in target.other_keys:
        response = without_key(target, "POST", CHAT, authorization=f"Bearer {key}")
        check(response, target.refusals[Fault.WRONG_KEY])


@pytest.mark.needs(Feature.AUTH)
def test_the_key_is_checked_before_the_body(target):
    with httpx.Client(base_url=target.url, timeout=30) as http:
        response = http.post(CHAT, content=b"{", headers=JSON)
    check(response, target.refusals[Fault.NO_KEY])


@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="stream")])
def test_an_unknown_model_is_refused(wire, target, stream):
    response = wire.post(wire.body(model="no-such-model", stream=stream))
    error = check(response, target.refusals[Fault.UNKNOWN_MODEL])
    if error:
        assert error["param"] == "model"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"{", id="cut-off"),
        pytest.param(b"", id="empty"),
        pytest.param(b"model=llama", id="a-form"),
    ],
)
def test_malformed_json_is_refused(wire, target, content):
    response = wire.http.post(CHAT, content=content, headers=JSON)
    check(response, target.refusals[Fault.BAD_JSON])


def test_a_body_that_is_not_utf_8_is_refused(wire, target):
    response = wire.http.post(CHAT, content=b'{"model": "\xff\xfe"}', headers=JSON)
    check(response, target.refusals[Fault.NOT_UTF_8])


@pytest.mark.parametrize("content", [b"[]", b'"text"', b"null", b"5"], ids=["array", "string", "null", "number"])
def test_json_that_is_no_object_is_refused(wire, target, content):
    response = wire.http.post(CHAT, content=content, headers=JSON)
    check(response, target.refusals[Fault.NOT_AN_OBJECT])


@pytest.mark.parametrize(
    ("field", "value"),
    [("messages", "hello"), ("temperature", "hot"), ("max_tokens", "many"), ("stop", {"at": "end"}), ("stream", "so")],
)
def test_a_wrong_type_of_a_known_field_is_refused(wire, target, field, value):
    check(wire.post(wire.body(**{field: value})), target.refusals[Fault.WRONG_TYPE])


@pytest.mark.needs(Feature.FIELD_ERRORS)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", 5),
        ("messages", "hello"),
        ("temperature", "hot"),
        ("temperature", "0.5"),
        ("max_tokens", 1.5),
        ("n", "2"),
        ("stream", "yes"),
        ("stop", {"at": "end"}),
        ("tools", {}),
        ("logprobs", 1),
    ],
)
def test_a_wrong_type_is_named_by_its_field(wire, target, field, value):
    error = check(wire.post(wire.body(**{field: value})), target.refusals[Fault.WRONG_TYPE])
    assert error["param"] == field
    assert field in error["message"]


@pytest.mark.needs(Feature.FIELD_ERRORS)
def test_a_wrong_type_deep_inside_is_named_by_its_path(wire, target):
    turns = [{"role": "user", "content": "Hi"}, {"role": "user", "content": 5}]
    error = check(wire.post(wire.body(messages=turns)), target.refusals[Fault.WRONG_TYPE])
    assert error["param"].startswith("messages")
    assert "1" in error["param"]
    assert "content" in error["param"]


@pytest.mark.needs(Feature.FIELD_ERRORS)
@pytest.mark.parametrize("field", ["model", "messages"])
def test_a_missing_field_is_named(wire, target, field):
    body = wire.body()
    del body[field]
    error = check(wire.post(body), target.refusals[Fault.WRONG_TYPE])
    assert error["param"] == field


def test_an_empty_conversation_is_refused(wire, target):
    check(wire.post(wire.body(messages=[])), target.refusals[Fault.NO_MESSAGES])


@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="stream")])
def test_a_value_out_of_range_is_refused_before_a_stream_begins(wire, target, stream):
    error = check(wire.post(wire.body(temperature=-1, stream=stream)), target.refusals[Fault.OUT_OF_RANGE])
    if error:
        assert "temperature" in error["message"]


@pytest.mark.needs(Feature.CONTEXT_LENGTH)
@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="stream")])
def test_a_prompt_longer_than_the_context_is_refused(wire, target, stream):
    question = "car " * (target.max_model_len + 200)
    error = check(wire.post(wire.body(question=question, stream=stream)), target.refusals[Fault.CONTEXT_OVERFLOW])
    if error:
        assert "context" in error["message"]


def test_a_wrong_method_is_refused(wire, target):
    check(wire.http.get(CHAT), target.refusals[Fault.WRONG_METHOD])


@pytest.mark.needs(Feature.BODY_LIMIT)
@pytest.mark.parametrize("announced", [pytest.param(True, id="announced"), pytest.param(False, id="chunked")])
def test_a_huge_body_is_refused(wire, target, announced):
    head, tail = json.dumps(wire.body(question="@")).encode().split(b"@")
    filler = b"car " * 16384
    pieces = [head, *[filler] * (HUGE // len(filler)), tail]
    content = b"".join(pieces) if announced else iter(pieces)
    check(wire.http.post(CHAT, content=content, headers=JSON), target.refusals[Fault.BODY_TOO_LARGE])


def test_a_refusal_does_not_spoil_the_next_request(wire):
    for _ in range(3):
        assert wire.http.post(CHAT, content=b"{", headers=JSON).status_code >= 400
    assert wire.chat(max_tokens=1)["choices"]
