"""The suite itself: what an operator is told, and that a server which breaks its promises is found out."""

import json
import os
import sys
from pathlib import Path

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.contract.refusals import Fault
from tests.contract.targets import KEYS, LACKS, REFUSALS, Feature, StackMissing, of_local_stack
from tests.support.servers import free_port, serving

ROOT = Path(__file__).parents[2]
MODEL = "parrot"
KEY = "sk-parrot-key"
STACK = {
    "SCOUT_URL": "http://127.0.0.1:8000/",
    "SCOUT_KEY": "sk-a",
    "ONPREM_URL": "http://127.0.0.1:8080",
    "ONPREM_KEY": "sk-b",
    "REPLICA_URLS": "http://127.0.0.1:8081,http://127.0.0.1:8082",
    "ENGINE_URLS": "http://127.0.0.1:8091,http://127.0.0.1:8092",
    "ENGINE_KEY": "sk-c",
    "SCOUT_MODEL": MODEL,
}


def parrot() -> Starlette:
    """A server that says "Hello there." to everything: limits, stops, seeds and bad requests are all one to it."""

    async def models(request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return JSONResponse({"error": "no"}, 401)
        return JSONResponse({"object": "list", "data": [{"id": MODEL, "created": 1, "owned_by": "nobody"}]})

    async def chat(request: Request) -> Response:
        head = {"id": "chatcmpl-1", "created": 1, "model": MODEL}
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        if b'"stream":true' not in await request.body():
            message = {"role": "assistant", "content": "Hello there."}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            return JSONResponse({**head, "object": "chat.completion", "choices": choices, "usage": usage})
        deltas = [{"role": "assistant", "content": ""}, {"content": "Hello"}, {"content": " there."}]
        choices = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
        last = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
        chunk = {**head, "object": "chat.completion.chunk"}
        bodies = [*({**chunk, "choices": one} for one in (*choices, last)), {**chunk, "choices": [], "usage": usage}]
        events = [f"data: {json.dumps(body)}\n\n" for body in bodies]
        return Response("".join([*events, "data: [DONE]\n\n"]), media_type="text/event-stream")

    routes = [Route("/v1/models", models), Route("/v1/chat/completions", chat, methods=["POST"])]
    return Starlette(routes=routes)


async def contract(*arguments: str):
    """`./scout contract` with these arguments: exit code, standard output, standard error."""
    command = [sys.executable, "-m", "tests.contract", *arguments]
    done = await anyio.run_process(command, cwd=ROOT, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.anyio
async def test_a_server_that_breaks_promises_is_reported_and_fails(tmp_path):
    async with serving(parrot()) as url:
        code, told, _ = await contract("--url", f"{url}/v1", "--key", KEY, "--json", str(tmp_path / "r.json"))
    assert code == 1, told
    report = json.loads((tmp_path / "r.json").read_text())
    became = {f"{case['group']}: {case['name']}": case for case in report["cases"]}
    assert became["models: the served model is listed once"]["outcome"] == "passed"
    assert became["stream: the role comes first and once"]["outcome"] == "passed"
    for broken in (
        "chat: the token limit ends the answer with length (max_tokens)",
        "chat: ids are never given twice",
        "stream: no usage is sent unless asked for (not mentioned)",
        "sampling: two choices come in one answer",
        "errors: an unknown model is refused (whole)",
        "openai client: an unknown model is a not found error",
    ):
        assert became[broken]["outcome"] == "failed", broken
        assert f"FAIL  {broken.partition(': ')[2]}" in told
    assert all(case["reason"] for case in report["cases"] if case["outcome"] != "passed")
    assert sum(report["counts"].values()) == len(report["cases"])
    counts = report["counts"]
    assert f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped" in told
    assert KEY not in told
    assert KEY not in json.dumps(report)


@pytest.mark.anyio
async def test_a_server_that_cannot_be_reached_is_one_sentence():
    url = f"http://127.0.0.1:{free_port()}"
    code, told, complaint = await contract("--url", url, "--key", "sk-x")
    assert (code, told) == (2, "")
    assert complaint.startswith(f"scout contract: {url} cannot be reached")
    assert complaint.count("\n") == 1


@pytest.mark.anyio
async def test_a_refused_key_is_one_sentence():
    async with serving(parrot()) as url:
        code, told, complaint = await contract("--url", url, "--key", "sk-x")
    assert (code, told) == (2, "")
    assert "refuses the key" in complaint
    assert complaint.count("\n") == 1
    assert "sk-x" not in complaint


@pytest.mark.anyio
async def test_a_url_that_is_none_is_one_sentence():
    code, _, complaint = await contract("--url", "127.0.0.1:8000", "--key", "sk-x")
    assert code == 2
    assert complaint == "scout contract: 127.0.0.1:8000 is no URL: it must begin with http:// or https://.\n"


@pytest.mark.anyio
async def test_without_the_local_stack_the_suite_says_how_to_start_it():
    env = {name: value for name, value in os.environ.items() if name not in STACK}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/contract/test_models.py"]
    done = await anyio.run_process(command, cwd=ROOT, env=env, check=False)
    told = (done.stdout + done.stderr).decode()
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "Run `./scout test contract`" in told
    assert "SCOUT_URL" in told


def test_the_local_stack_is_three_targets():
    replica, nginx, gateway = of_local_stack(STACK)
    assert [target.name for target in (replica, nginx, gateway)] == ["replica", "nginx", "gateway"]
    assert replica.url == "http://127.0.0.1:8091"
    assert gateway.url == "http://127.0.0.1:8000"
    assert all(len(target.engines) == 2 for target in (replica, nginx, gateway))
    assert nginx.metrics == ("http://127.0.0.1:8081/metrics", "http://127.0.0.1:8082/metrics")
    assert gateway.other_keys == ("sk-b", "sk-c")


def test_the_admin_key_is_the_gateways_alone_and_opens_no_door():
    assert "SCOUT_ADMIN_KEY" in of_local_stack(STACK)[2].lacks[Feature.ADMIN]
    replica, nginx, gateway = of_local_stack({**STACK, "SCOUT_ADMIN_KEY": "sk-d"})
    assert [target.admin_key for target in (replica, nginx, gateway)] == ["", "", "sk-d"]
    assert all("sk-d" in target.other_keys for target in (replica, nginx, gateway))
    assert Feature.ADMIN in nginx.lacks
    assert Feature.ADMIN not in gateway.lacks


@pytest.mark.parametrize("name", STACK)
def test_a_missing_variable_is_named(name):
    with pytest.raises(StackMissing, match=name):
        of_local_stack({key: value for key, value in STACK.items() if key != name})


def test_one_target_alone_needs_only_its_own_variables():
    env = {name: STACK[name] for name in ("ENGINE_URLS", "ENGINE_KEY", "SCOUT_MODEL")}
    (replica,) = of_local_stack({**env, "SCOUT_CONTRACT_TARGETS": "replica"})
    assert replica.key == STACK["ENGINE_KEY"]
    with pytest.raises(StackMissing, match="there are only"):
        of_local_stack({**STACK, "SCOUT_CONTRACT_TARGETS": "replica,apache"})


def test_every_key_of_the_stack_is_tried_at_the_other_doors():
    assert set(KEYS) == {name for name in STACK if name.endswith("_KEY")}


@pytest.mark.parametrize("layer", REFUSALS)
def test_every_fault_has_its_refusal_where_it_can_happen(layer):
    missing = set(Fault) - set(REFUSALS[layer])
    assert missing <= ({Fault.BODY_TOO_LARGE} if Feature.BODY_LIMIT in LACKS[layer] else set())
