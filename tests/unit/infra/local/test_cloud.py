"""The cloud stand-in, asked as OpenAI is asked: by the official SDK, over a real port."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import openai
import pytest

from infra.local.cloud import KEY_VARIABLE, MODEL, REMEMBERED, StandIn, main
from tests.support.servers import free_port, serving
from tests.unit.infra.local.waiting import until

pytestmark = pytest.mark.anyio

KEY = "sk-stand-in-of-the-tests"
ROOT = Path(__file__).resolve().parents[4]
ASK: Any = [{"role": "system", "content": "You are Scout."}, {"role": "user", "content": "Hi there Scout"}]
TOOL: Any = {"type": "function", "function": {"name": "search_inventory", "parameters": {"type": "object"}}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with serving(StandIn(KEY, pace_s=0.0).app()) as url:
        yield url


@pytest.fixture
async def http(url: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as http:
        yield http


@pytest.fixture
async def sdk(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    http = httpx2.AsyncClient(trust_env=False)
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, http_client=http) as sdk:
        yield sdk


async def test_the_sdk_reads_a_stream_that_says_what_it_is(sdk: openai.AsyncOpenAI) -> None:
    options: Any = {"include_usage": True}
    stream = await sdk.chat.completions.create(model="gpt", messages=ASK, stream=True, stream_options=options)
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.startswith("[cloud stand-in] I am no model")
    assert "I was sent 2 messages, and the last one has 3 words." in text
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert len(chunks) == len(text.split()) + 3, "the role, each word, the ending and the usage"
    counted = chunks[-1].usage
    assert counted is not None
    assert (counted.prompt_tokens, counted.completion_tokens) == (6, len(text.split()))
    assert {chunk.model for chunk in chunks} == {MODEL}


async def test_the_sdk_reads_a_whole_answer(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.create(model="gpt", messages=ASK)
    assert (answer.choices[0].message.content or "").startswith("[cloud stand-in]")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


async def test_usage_that_nobody_wants_does_not_come(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/chat/completions", json={"model": "gpt", "messages": ASK, "stream": True})
    assert "usage" not in answer.text
    assert answer.text.endswith("data: [DONE]\n\n")


async def test_no_tool_is_ever_called(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.create(model="gpt", messages=ASK, tools=[TOOL], tool_choice="required")
    (choice,) = answer.choices
    assert (choice.finish_reason, choice.message.tool_calls) == ("stop", None)
    assert "I was offered 1 tools and call none of them." in (choice.message.content or "")


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_an_answer_is_as_long_as_it_may_be(sdk: openai.AsyncOpenAI, name: str) -> None:
    bound: Any = {name: 4}
    answer = await sdk.chat.completions.create(model="gpt", messages=ASK, **bound)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("[cloud stand-in] I am", "length")


async def test_text_in_parts_is_counted_and_no_text_is_none(sdk: openai.AsyncOpenAI) -> None:
    parts: Any = [{"role": "user", "content": [{"type": "text", "text": "two words"}]}]
    call: Any = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    silent: Any = [*parts, {"role": "assistant", "content": None, "tool_calls": [call]}]
    for messages, tokens in ((parts, 2), (silent, 2)):
        answer = await sdk.chat.completions.create(model="gpt", messages=messages)
        assert answer.usage is not None
        assert answer.usage.prompt_tokens == tokens


async def test_the_models_are_itself(sdk: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in sdk.models.list()] == [MODEL]


async def test_sizes_and_hashes_of_what_came_can_be_looked_at_and_no_text(http: httpx.AsyncClient) -> None:
    bodies = [json.dumps({"model": "gpt", "messages": ASK, "seed": seed}).encode() for seed in range(2)]
    for body in (*bodies, b"{oops"):
        await http.post("/v1/chat/completions", content=body)
    seen = await http.get("/received")
    sent = [*bodies, b"{oops"]
    assert seen.json() == {
        "count": 3,
        "bytes": sum(map(len, sent)),
        "requests": [{"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()} for body in sent],
    }
    assert "Hi there" not in seen.text
    assert len(sent) <= REMEMBERED


@pytest.mark.parametrize("path", ["/v1/models", "/received", "/v1/chat/completions"])
@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Bearer \xe4"])
async def test_without_the_key_nothing_is_told(url: str, path: str, authorization: str) -> None:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        method = "POST" if path.endswith("completions") else "GET"
        answer = await http.request(method, path, headers={"authorization": authorization.encode("latin-1")})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid_json"),
        (b"\xff", "invalid_json"),
        (b"[]", "invalid_messages"),
        (b"{}", "invalid_messages"),
        (b'{"model":"gpt","messages":[]}', "invalid_messages"),
        (b'{"model":"gpt","messages":["hi"]}', "invalid_messages"),
        (b'{"messages":[{"role":"user","content":"hi"}]}', "missing_model"),
    ],
)
async def test_what_is_no_request_is_refused_as_openai_refuses_it(
    http: httpx.AsyncClient, body: bytes, code: str
) -> None:
    answer = await http.post("/v1/chat/completions", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_it_does_not_start_without_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", "8099"], {}) == 2
    assert KEY_VARIABLE in capsys.readouterr().err


def test_it_runs_as_a_process_and_ends_when_told() -> None:
    port = free_port()
    command = [sys.executable, "-m", "infra.local.cloud", "--port", str(port), "--pace-ms", "0"]
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, KEY_VARIABLE: KEY}) as process:
        try:
            until(lambda: alive(port), "the stand-in answers")
        finally:
            process.terminate()
        assert process.wait(15) == -signal.SIGTERM, (
            "uvicorn ends in good order, and then by the signal that it was sent"
        )


def alive(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).json()["server"] == MODEL
    except httpx.TransportError:
        return False
