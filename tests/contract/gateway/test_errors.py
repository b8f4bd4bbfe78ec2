"""Every error the gateway can answer with has its status, its code, OpenAI's shape and a request id."""

import json
import time

import pytest

from tests.contract.gateway.conftest import QUESTION, Gate
from tests.support.upstream import MODEL, ScriptedUpstream, status

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
TOO_LONG = "This model's maximum context length is 4096 tokens. However, you requested 9000 tokens."


def body(**changes: object) -> bytes:
    return json.dumps({**QUESTION, **changes}).encode()


CASES = {
    "no JSON": ("POST", CHAT, b"{nope", 400, "invalid_json", None),
    "no object": ("POST", CHAT, b"[1]", 400, "invalid_json", None),
    "NaN": ("POST", CHAT, body(temperature=float("nan")), 400, "invalid_json", None),
    "no messages": ("POST", CHAT, b'{"model": "x"}', 422, "invalid_field", "messages"),
    "empty messages": ("POST", CHAT, body(messages=[]), 422, "invalid_field", "messages"),
    "wrong type": ("POST", CHAT, body(temperature="hot"), 422, "invalid_field", "temperature"),
    "deep": ("POST", CHAT, body(messages=[{"role": "user", "content": 5}]), 422, "invalid_field", "messages.0.content"),
    "unknown model": ("POST", CHAT, body(model="gpt-5"), 404, "model_not_found", "model"),
    "unknown path": ("GET", "/v1/nothing", b"", 404, "not_found", None),
    "trailing slash": ("GET", "/v1/models/", b"", 404, "not_found", None),
    "path of vLLM": ("POST", "/tokenize", b"{}", 404, "not_found", None),
    "wrong method": ("GET", CHAT, b"", 405, "method_not_allowed", None),
    "no message": ("POST", "/api/chat", b"{}", 422, "invalid_field", "message"),
    "empty message": ("POST", "/api/chat", b'{"message": ""}', 422, "invalid_field", "message"),
    "no text": ("POST", "/api/chat", b'{"message": 5}', 422, "invalid_field", "message"),
    "unknown field": ("POST", "/api/chat", b'{"message": "Hi", "mesage": "x"}', 422, "invalid_field", "mesage"),
    "long message": ("POST", "/api/chat", b'{"message": "' + b"x" * 8001 + b'"}', 422, "invalid_field", "message"),
}


@pytest.mark.parametrize(
    ("method", "path", "content", "code", "name", "param"), [pytest.param(*case, id=id_) for id_, case in CASES.items()]
)
async def test_bad_input_gets_a_typed_error(
    upstreams: list[ScriptedUpstream],
    gateway_over: Gate,
    method: str,
    path: str,
    content: bytes,
    code: int,
    name: str,
    param: str | None,
) -> None:
    async with gateway_over(upstreams[0]) as front:
        answer = await front.client.request(method, path, content=content)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (code, name, param)
        assert error["message"]
        assert error["type"]
        assert error["retryable"] is False
        assert error["request_id"] == answer.headers["x-request-id"]
        assert not upstreams[0].exchanges


@pytest.mark.parametrize("header", [None, "Bearer wrong-key-0123456789", "Basic abc", "Bearer"])
@pytest.mark.parametrize(("method", "path"), [("POST", CHAT), ("POST", "/api/chat"), ("GET", "/v1/models")])
async def test_nobody_gets_in_without_a_key(
    upstreams: list[ScriptedUpstream], gateway_over: Gate, header: str | None, method: str, path: str
) -> None:
    async with gateway_over(upstreams[0]) as front:
        del front.client.headers["authorization"]
        headers = {} if header is None else {"authorization": header}
        answer = await front.client.request(method, path, headers=headers, json=QUESTION if method == "POST" else None)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("factor", [2, 20])
async def test_a_body_over_the_bound_is_refused(
    upstreams: list[ScriptedUpstream], gateway_over: Gate, factor: int
) -> None:
    async with gateway_over(upstreams[0], limits={"max_body_bytes": 10_000}) as front:
        content = body(messages=[{"role": "user", "content": "x" * 10_000 * factor}])
        answer = await front.client.post(CHAT, content=content)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
        assert (await front.ask()).status_code == 200


async def test_a_prompt_over_the_context_has_its_own_code(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    upstreams[0].script(status(400, TOO_LONG, param="input_tokens"))
    async with gateway_over(upstreams[0]) as front:
        answer = await front.ask()
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["message"]) == (400, "context_length_exceeded", TOO_LONG)


async def test_the_models_are_those_that_can_be_asked_for(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    async with gateway_over(upstreams[0]) as front:
        answer = await front.client.get("/v1/models")
        assert answer.json() == {
            "object": "list",
            "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "scout"}],
        }


async def test_a_fault_of_our_own_is_an_error_too(upstreams: list[ScriptedUpstream], gateway_over: Gate) -> None:
    broken = False

    def clock() -> float:
        if broken:
            raise RuntimeError("a clock that has stopped")
        return time.monotonic()

    async with gateway_over(upstreams[0], clock=clock) as front:
        broken = True
        answer = await front.ask()
        broken = False
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (500, "internal_error")
        assert error["request_id"] == answer.headers["x-request-id"]
        assert "clock" not in answer.text
        [line] = front.log_lines("fault")
        assert line["request_id"] == error["request_id"]
        assert "a clock that has stopped" in line["exception"]


async def test_request_ids_are_kept_or_made(upstreams: list[ScriptedUpstream], gateway_over: Gate) -> None:
    async with gateway_over(upstreams[0]) as front:
        kept = await front.client.get("/livez", headers={"x-request-id": "from-the-client-1"})
        made = await front.client.get("/livez", headers={"x-request-id": "bad id\twith spaces"})
        assert kept.headers["x-request-id"] == "from-the-client-1"
        assert made.headers["x-request-id"].startswith("req_")
        answer = await front.client.post(CHAT, json=QUESTION, headers={"x-request-id": "from-the-client-2"})
        assert answer.headers.get_list("x-request-id") == ["from-the-client-2"]
        assert upstreams[0].exchanges[0].headers["x-request-id"] == "from-the-client-2"


async def test_a_page_of_an_allowed_origin_may_read_the_answer(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    cors = {
        "allow_origins": ("https://www.example.com",),
        "allow_origin_regex": r"https://scout-[a-z0-9]+-example\.vercel\.app",
    }
    async with gateway_over(upstreams[0], cors=cors) as front:
        ask = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
        for origin in ("https://www.example.com", "https://scout-abc1-example.vercel.app"):
            preflight = await front.client.options("/api/chat", headers={"origin": origin, **ask})
            assert preflight.headers["access-control-allow-origin"] == origin
            answer = await front.client.post("/api/chat", json={"message": "Hi"}, headers={"origin": origin})
            assert answer.headers["access-control-allow-origin"] == origin
            assert "x-request-id" in answer.headers["access-control-expose-headers"]
        for origin in ("https://evil.example", "https://scout-abc1-example.vercel.app.evil.example"):
            preflight = await front.client.options("/api/chat", headers={"origin": origin, **ask})
            assert "access-control-allow-origin" not in preflight.headers


async def test_nothing_that_was_said_or_is_secret_is_logged(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    async with gateway_over(upstreams[0]) as front:
        await front.ask(messages=[{"role": "user", "content": "my number is 555-0100"}])
        await front.client.post("/api/chat", json={"message": "my number is 555-0100"})
        await front.ask(temperature="my number is 555-0100")
        log = front.output.getvalue()
        assert len(front.log_lines("request")) == 3
        for secret in ("555-0100", "sk-test-client", "sk-test-onprem", "Hello"):
            assert secret not in log


async def test_the_openapi_document_describes_every_door(upstreams: list[ScriptedUpstream], gateway_over: Gate) -> None:
    async with gateway_over(upstreams[0]) as front:
        document = (await front.client.get("/openapi.json")).json()
        admin = {"/admin/replicas", "/admin/replicas/{name}/drain"}
        assert set(document["paths"]) == {CHAT, "/v1/models", "/api/chat", "/livez", "/readyz", "/metrics", *admin}
        for path, schema in ((CHAT, "ChatRequest"), ("/api/chat", "ChatMessage")):
            content = document["paths"][path]["post"]["requestBody"]["content"]
            assert content["application/json"]["schema"]["$ref"] == f"#/components/schemas/{schema}"
            assert schema in document["components"]["schemas"]
        assert (await front.client.get("/docs")).status_code == 200
