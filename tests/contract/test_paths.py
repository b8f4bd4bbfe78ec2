"""Which paths a server answers. vLLM guards only some of its own; what stands in front lets through an exact list."""

import http.client
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.contract.refusals import Fault, check
from tests.contract.targets import Feature

DANGEROUS = (
    "/invocations",  # whole inference, without a key
    "/abort_requests",
    "/classify",
    "/cohere/v2/chat",
    "/cohere/v2/chat/render",
    "/collective_rpc",
    "/detokenize",
    "/fault_tolerance/apply",
    "/fault_tolerance/status",
    "/finish_weight_update",
    "/generative_scoring",
    "/get_world_size",
    "/inference/v1/abort_requests",
    "/inference/v1/generate",
    "/init_weight_transfer_engine",
    "/is_paused",
    "/is_scaling_elastic_ep",
    "/is_sleeping",
    "/kv_event_sources",
    "/load",
    "/pause",
    "/ping",
    "/pooling",
    "/release_kv_cache_memory",
    "/ready",
    "/readyz",
    "/rerank",
    "/reset_encoder_cache",
    "/reset_mm_cache",
    "/reset_prefix_cache",
    "/resume",
    "/scale_elastic_ep",
    "/score",
    "/server_info",
    "/shutdown_weight_transfer_engine",
    "/sleep",
    "/start_draft_weight_update",
    "/start_profile",
    "/start_weight_update",
    "/stop_profile",
    "/tokenize",
    "/tokenizer_info",
    "/update_weight_version",
    "/update_weights",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/v1/chat/completions/batch",
    "/v1/chat/completions/derender",
    "/v1/chat/completions/render",
    "/v1/completions/derender",
    "/v1/completions/render",
    "/v1/embeddings",
    "/v1/load_lora_adapter",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/messages/render",
    "/v1/realtime",
    "/v1/rerank",
    "/v1/responses",
    "/v1/responses/render",
    "/v1/score",
    "/v1/systemone",
    "/v1/unload_lora_adapter",
    "/v2/embed",
    "/v2/rerank",
    "/version",
    "/wake_up",
    "/weight_checker",
    "/weight_info",
)
"""Paths that vLLM has or can be told to have, and that nobody outside may reach."""

OWN_PAGES = ("/docs", "/redoc", "/openapi.json")
ALLOWED = ("/v1/chat/completions", "/v1/completions", "/v1/models", "/health", "/metrics")
ROUTE = re.compile(r"\.(?:get|post|put|delete|patch|websocket|api_route)\(\s*\"(/[^\"]+)\"")
SPELLINGS = (
    "//tokenize",
    "/tokenize/",
    "/%74okenize",
    "/v1/../tokenize",
    "/v1/chat/completions/../../../tokenize",
    "/v1/chat/completions/..%2f..%2f..%2ftokenize",
    "/v1/models/%2e%2e/%2e%2e/invocations",
    "/v1/chat/completions;/tokenize",
    "/v1/models/",
    "/V1/chat/completions/",
)
"""Other ways to write a path: whoever compares text before the next one decodes it lets them through."""


def raw(target, method: str, path: str) -> httpx.Response:
    """A request with exactly this path: an HTTP client of higher level would tidy it up."""
    place = urlsplit(target.url)
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = kind(place.hostname, place.port, timeout=30)
    try:
        headers = {"authorization": f"Bearer {target.key}", "content-type": "application/json"}
        connection.request(method, path, body=b'{"prompt": "Hi"}' if method == "POST" else None, headers=headers)
        answer = connection.getresponse()
        return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())
    finally:
        connection.close()


def test_an_unknown_path_is_not_found(wire, target):
    check(wire.http.get("/no/such/path"), target.refusals[Fault.UNKNOWN_PATH])
    check(wire.http.post("/v1/no-such-path", json={}), target.refusals[Fault.UNKNOWN_PATH])


@pytest.mark.needs(Feature.PATH_ALLOW_LIST)
@pytest.mark.parametrize("path", DANGEROUS)
def test_a_dangerous_path_of_vllm_is_not_found(target, path):
    if path in target.own_paths:
        pytest.skip(f"{target.name}: {path} is a path of its own, which vLLM does not see")
    for method in ("GET", "POST"):
        check(raw(target, method, path), target.refusals[Fault.UNKNOWN_PATH])


@pytest.mark.needs(Feature.PATH_ALLOW_LIST)
@pytest.mark.parametrize("path", SPELLINGS)
def test_no_other_spelling_opens_a_path(target, path):
    for method in ("GET", "POST"):
        check(raw(target, method, path), target.refusals[Fault.UNKNOWN_PATH])


@pytest.mark.needs(Feature.PATH_ALLOW_LIST)
@pytest.mark.parametrize("path", OWN_PAGES)
def test_vllms_own_pages_are_not_shown(target, path):
    response = raw(target, "GET", path)
    assert response.status_code in {200, 404}
    for secret in ("/invocations", "/tokenize", "/scale_elastic_ep"):
        assert secret not in response.text


@pytest.mark.skipif("SCOUT_ENGINE_PYTHON" not in os.environ, reason="the engine's sources are not on this machine")
def test_the_list_of_dangerous_paths_is_complete():
    # A new vLLM brings new paths; each must be judged here. It does not show its own list, so its sources tell.
    purelib = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run(
        [os.environ["SCOUT_ENGINE_PYTHON"], "-c", purelib], capture_output=True, text=True, check=True
    )
    sources = Path(site.stdout.strip(), "vllm", "entrypoints").rglob("*.py")
    served = {path for source in sources for path in ROUTE.findall(source.read_text())}
    assert "/invocations" in served, "the sources are no longer read rightly"
    assert {path.split("/{")[0] for path in served} - {*DANGEROUS, *OWN_PAGES, *ALLOWED} == set()
