"""What a client may ask of the engine through the gateway: the refused never gets there, the rest arrives untouched."""

import ast
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.fields import FIELDS, Dropped, Refused, Set
from shared.chat import ChatRequest
from tests.contract.gateway.conftest import QUESTION, Gate
from tests.support.upstream import ScriptedUpstream, whole_stream

pytestmark = pytest.mark.anyio

PASSED_ON_PURPOSE = {
    *("add_generation_prompt", "add_special_tokens", "continue_final_message", "ignore_eos", "include_reasoning"),
    *("include_stop_str_in_output", "length_penalty", "min_p", "reasoning_effort", "repetition_detection"),
    *("repetition_penalty", "return_prompt_text", "return_token_ids", "return_tokens_as_token_ids"),
    *("skip_special_tokens", "spaces_between_special_tokens", "thinking_token_budget", "top_k"),
    *("truncate_prompt_tokens", "truncation_side"),
}
"""vLLM's own fields that change one answer, at a cost that other bounds hold."""

NOT_THE_CLIENTS = {name: "anything" for name, rule in FIELDS.items() if isinstance(rule, Refused | Set)}

OVER_A_BOUND: dict[str, Any] = {
    "n": 5,
    "best_of": 5,
    "max_tokens": 8193,
    "max_completion_tokens": 0,
    "min_tokens": 8193,
    "top_logprobs": 21,
    "prompt_logprobs": -1,
    "stop": ["x"] * 17,
    "bad_words": ["x" * 257],
    "stop_token_ids": [1] * 17,
    "logit_bias": {str(token): 1 for token in range(1025)},
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"const": "x" * 65536}}},
    "structured_outputs": {"grammar": "x" * 65536},
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"const": "x" * 65536}}}],
    "chat_template_kwargs": {"max_length": 9},
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_refused_field_is_named_and_never_reaches_a_replica(
    upstreams: list[ScriptedUpstream], gateway_over: Gate, stream: bool
) -> None:
    # One gateway for all of them: starting one for each field would take minutes.
    async with gateway_over(upstreams[0]) as front:
        for name, value in {**NOT_THE_CLIENTS, **OVER_A_BOUND}.items():
            answer = await front.ask(stream=stream, **{name: value})
            error = answer.json()["error"]
            assert (answer.status_code, error["code"], error["param"]) == (422, "invalid_field", name)
            assert error["message"].startswith(f"{name}: ")
            assert error["retryable"] is False
            assert not upstreams[0].exchanges, name


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_what_is_left_out_does_not_reach_the_replica(
    upstreams: list[ScriptedUpstream], gateway_over: Gate, stream: bool
) -> None:
    nothing_asked = {name: None for name in FIELDS}
    ineffective = {name: "anything" for name, rule in FIELDS.items() if isinstance(rule, Dropped)}
    if stream:
        upstreams[0].script(whole_stream("a"))
    async with gateway_over(upstreams[0]) as front:
        answer = await front.ask(stream=stream, **{**nothing_asked, **ineffective, "echo": False})
        assert answer.status_code == 200
        [exchange] = upstreams[0].exchanges
        sent = exchange.json.keys() & FIELDS.keys()
        assert sent == {name for name, rule in FIELDS.items() if isinstance(rule, Set)}


async def test_every_request_carries_a_salt_and_a_priority(
    upstreams: list[ScriptedUpstream], gateway_over: Gate
) -> None:
    upstreams[0].script(whole_stream("a"))
    async with gateway_over(upstreams[0]) as front:
        await front.ask(stream=True)
        await front.ask()
        await front.client.post("/api/chat", json={"message": "Hi"})
        salts = {exchange.json["cache_salt"] for exchange in upstreams[0].exchanges}
        assert len(upstreams[0].exchanges) == 3
        assert len(salts) == 1, "one client, one cache"
        assert salts.pop().startswith("scout-")
        assert all(type(exchange.json["priority"]) is int for exchange in upstreams[0].exchanges)


async def test_bounds_are_the_operators(upstreams: list[ScriptedUpstream], gateway_over: Gate) -> None:
    async with gateway_over(upstreams[0], limits={"max_tokens": 10, "max_answers": 1}) as front:
        assert (await front.ask(max_tokens=10)).status_code == 200
        refused = await front.ask(max_tokens=11)
        assert (refused.status_code, refused.json()["error"]["param"]) == (422, "max_tokens")
        assert "10" in refused.json()["error"]["message"]
        assert (await front.ask(n=2)).json()["error"]["param"] == "n"


async def test_harmless_fields_of_the_engine_pass(upstreams: list[ScriptedUpstream], gateway_over: Gate) -> None:
    async with gateway_over(upstreams[0]) as front:
        fields = dict.fromkeys(PASSED_ON_PURPOSE, 1)
        assert (await front.ask(**fields)).status_code == 200
        [exchange] = upstreams[0].exchanges
        assert {name: exchange.json.get(name) for name in fields} == fields
        assert exchange.json["messages"] == QUESTION["messages"]


@pytest.mark.skipif("SCOUT_ENGINE_PYTHON" not in os.environ, reason="the engine's sources are not on this machine")
def test_every_field_of_the_engine_has_been_judged() -> None:
    # A new vLLM brings new fields, which would pass unseen. Its class says which it has; importing it takes seconds.
    purelib = "import sysconfig; print(sysconfig.get_path('purelib'))"
    command = [os.environ["SCOUT_ENGINE_PYTHON"], "-c", purelib]
    site = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    source = Path(site, "vllm/entrypoints/openai/chat_completion/protocol.py").read_text()
    [request] = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == "ChatCompletionRequest"
    ]
    has = {
        node.target.id
        for node in request.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and not node.target.id.startswith("_")
    }
    assert "kv_transfer_params" in has, "the source is no longer read rightly"
    assert has - FIELDS.keys() - ChatRequest.model_fields.keys() - PASSED_ON_PURPOSE == set()
