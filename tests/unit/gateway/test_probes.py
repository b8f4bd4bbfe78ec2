"""What a probe finds at a replica that does what it is told, and that a watch outlives whatever it meets."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest

from gateway import health
from gateway.health import ANSWERS, Finding, Scrape, State
from gateway.link import Link, Path
from gateway.ports import Fault, Reply
from gateway.probes import MIN_PAUSE_S
from tests.support.servers import free_port
from tests.support.upstream import (
    MODEL,
    Act,
    Exchange,
    ScriptedUpstream,
    completion,
    hang,
    reset_at_once,
    scripted_upstream,
    status,
)
from tests.unit.gateway.probe_bench import KEY, SETTINGS, bench, running

pytestmark = pytest.mark.anyio

IDLE = Scrape(0, 0, 0, 0)


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as upstream:
        yield upstream


async def test_a_replica_that_is_well_proves_it_by_a_token(upstream: ScriptedUpstream) -> None:
    upstream.running, upstream.waiting, upstream.kv_usage, upstream.generated = 2, 1, 0.5, 77
    async with bench(upstream.url) as one:
        finding = await one.probe()
    assert finding == Finding(Fault.NONE, ANSWERS, Scrape(2, 1, 0.5, 77), generated=True, reached=True)
    assert (upstream.canaries, one.pool.begun, upstream.exchanges) == (1, 1, [])


async def test_a_ready_replica_is_spared_what_is_known_of_it(upstream: ScriptedUpstream) -> None:
    async with bench(upstream.url) as one:
        await one.probe()
        probes = upstream.probes
        assert (await one.probe()).fault is Fault.NONE
    assert upstream.probes - probes == 2  # /health and /metrics
    assert (upstream.canaries, one.pool.begun) == (1, 1)


async def test_the_canary_asks_for_one_token_under_a_name_of_its_own(upstream: ScriptedUpstream) -> None:
    asked: list[Exchange] = []

    async def canary(exchange: Exchange) -> None:
        asked.append(exchange)
        await exchange.answer(200, completion(".", "length"))

    upstream.canary = canary
    async with bench(upstream.url) as one:
        assert (await one.probe()).generated
        one.pool.belief = health.at_start(time.monotonic())
        await one.probe()
    first, second = asked
    assert first.json == {
        "model": MODEL,
        "messages": [{"role": "user", "content": "."}],
        "max_tokens": 1,
        "temperature": 0,
    }
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert len(first.headers["x-request-id"]) == len("canary-") + 12


async def answer_abort(exchange: Exchange) -> None:
    await exchange.answer(200, completion("", "abort"))


async def answer_nothing(exchange: Exchange) -> None:
    await exchange.answer(200, b'{"choices": []}')


async def answer_text(exchange: Exchange) -> None:
    await exchange.answer(200, b"welcome")


@pytest.mark.parametrize(
    ("canary", "fault", "reason"),
    [
        pytest.param(status(503), Fault.NONE, "busy", id="503"),
        pytest.param(status(429), Fault.NONE, "busy", id="429"),
        pytest.param(status(502), Fault.UNREACHABLE, "canary: HTTP 502", id="502"),
        pytest.param(status(500), Fault.SUSPECT, "canary: HTTP 500", id="500"),
        pytest.param(status(401), Fault.UNREACHABLE, "SCOUT_ONPREM_KEY", id="401"),
        pytest.param(answer_abort, Fault.SUSPECT, "canary: finish_reason 'abort'", id="an engine that shuts down"),
        pytest.param(answer_nothing, Fault.SUSPECT, "canary: no completion", id="no choice"),
        pytest.param(answer_text, Fault.SUSPECT, "canary: no completion", id="no JSON"),
        pytest.param(reset_at_once, Fault.SUSPECT, "canary: no answer to a probe", id="torn"),
        pytest.param(hang, Fault.SUSPECT, "canary: no answer to a probe within 0.3 s", id="hung"),
    ],
)
async def test_a_canary_without_a_token_proves_nothing(
    upstream: ScriptedUpstream, canary: Act, fault: Fault, reason: str
) -> None:
    upstream.canary = canary
    async with bench(upstream.url, SETTINGS.model_copy(update={"canary_timeout_s": 0.3})) as one:
        finding = await one.probe()
    assert (finding.fault, finding.generated, finding.scrape, finding.reached) == (fault, False, IDLE, True)
    assert reason in finding.reason


@pytest.mark.parametrize(
    ("code", "fault"),
    [(502, Fault.UNREACHABLE), (503, Fault.UNREACHABLE), (504, Fault.SUSPECT), (404, Fault.SUSPECT)],
)
async def test_health_that_is_not_200(upstream: ScriptedUpstream, code: int, fault: Fault) -> None:
    upstream.health = code
    async with bench(upstream.url) as one:
        finding = await one.probe()
    assert finding == Finding(fault, f"/health: HTTP {code}", IDLE, reached=True)
    assert upstream.canaries == 0


async def test_figures_that_cannot_be_had_make_it_suspect(upstream: ScriptedUpstream) -> None:
    upstream.metrics_status = 500
    async with bench(upstream.url) as one:
        assert await one.probe() == Finding(Fault.SUSPECT, "metrics: HTTP 500", reached=True)
        upstream.metrics_status, upstream.generated = 200, float("nan")
        finding = await one.probe()
    assert finding == Finding(Fault.SUSPECT, "metrics: vllm:generation_tokens_total is 'nan'", reached=True)
    assert upstream.canaries == 0


async def test_a_refused_key_is_no_connection(upstream: ScriptedUpstream) -> None:
    upstream.refuses_key = True
    async with bench(upstream.url) as one:
        finding = await one.probe()
    reason = "nginx refuses our key (HTTP 401): check SCOUT_ONPREM_KEY"
    assert finding == Finding(Fault.UNREACHABLE, reason, reached=True)


async def test_a_replica_without_our_model_is_of_no_use(upstream: ScriptedUpstream) -> None:
    upstream.models = ("something-else",)
    async with bench(upstream.url) as one:
        finding = await one.probe()
    assert finding == Finding(Fault.UNREACHABLE, f"does not serve the model {MODEL}", IDLE, reached=True)


async def test_where_nobody_listens_the_site_may_be_gone() -> None:
    async with bench(f"http://127.0.0.1:{free_port()}") as one:
        finding = await one.probe()
    assert finding == Finding(Fault.UNREACHABLE, "no connection (ConnectFailed)", reached=False)


def page(generated: int) -> Reply:
    names = ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc")
    lines = [*(f"vllm:{name} 0.0" for name in names), f"vllm:generation_tokens_total {generated}"]
    return Reply(200, "\n".join(lines).encode())


@pytest.mark.parametrize("path", ["/health", "/metrics", "/v1/models"])
async def test_silence_at_any_step_is_suspect_and_the_rest_is_still_told(path: str) -> None:
    async def answer(asked: str) -> Reply:
        if asked == path:
            await asyncio.Event().wait()
        return page(7) if asked == "/metrics" else Reply(200, b"")

    settings = SETTINGS.model_copy(update={"timeout_s": 0.05})
    async with bench("http://site:8081", settings, answers=answer) as one:
        finding = await one.probe()
    assert finding.fault is Fault.SUSPECT
    assert "no answer to a probe within 0.05 s" in finding.reason
    assert finding.scrape == (None if path == "/metrics" else Scrape(0, 0, 0, 7))
    assert finding.reached


@pytest.mark.parametrize("body", [b"no json", b"[]", b'{"data": [1]}'])
async def test_a_list_of_models_of_another_kind_has_not_ours(body: bytes) -> None:
    async def answer(asked: str) -> Reply:
        return page(0) if asked == "/metrics" else Reply(200, body)

    async with bench("http://site:8081", answers=answer) as one:
        assert (await one.probe()).reason == f"does not serve the model {MODEL}"


# ---- watching


async def test_second_probes_come_apart(upstream: ScriptedUpstream) -> None:
    async with bench(upstream.url) as one:
        async with running(lambda: one.prober.watch(one.pool, apart_s=3600.0)):
            await one.pool.until(lambda: len(one.pool.findings) == 1)
            await asyncio.sleep(4 * SETTINGS.ready_interval_s)
            assert len(one.pool.findings) == 1


async def test_a_watch_survives_what_nobody_foresaw() -> None:
    broken = True

    async def answer(asked: str) -> Reply:
        if broken:
            raise RuntimeError("unforeseen")
        if asked == "/metrics":
            return page(0)
        choice = {"message": {"content": "."}, "finish_reason": "length"}
        return Reply(200, json.dumps({"data": [{"id": MODEL}], "choices": [choice]}).encode())

    async with bench("http://site:8081", answers=answer) as one:
        async with running(lambda: one.prober.watch(one.pool)):
            await one.pool.until(lambda: len(one.pool.findings) > 1)
            assert set(one.pool.findings) == {Finding(Fault.UNREACHABLE, "RuntimeError in a probe")}
            broken = False
            await one.pool.until(lambda: one.pool.state(one.pool)[0] is State.READY)


async def test_each_change_of_state_is_logged_once(upstream: ScriptedUpstream) -> None:
    async with bench(upstream.url) as one:
        async with running(lambda: one.prober.watch(one.pool)):
            await one.pool.until(lambda: len(one.pool.findings) > 2)
            upstream.health = 503
            await one.pool.until(lambda: len(one.logged("replica")) > 1)
            upstream.health = 200
            await one.pool.until(lambda: len(one.logged("replica")) > 2)
    lines = [(line["replica"], line["was"], line["state"], line["reason"]) for line in one.logged("replica")]
    assert lines == [
        ("replica-0", "failed", "ready", ANSWERS),
        ("replica-0", "ready", "failed", "/health: HTTP 503"),
        ("replica-0", "failed", "ready", ANSWERS),
    ]


async def test_a_replica_that_is_not_there_from_the_start_is_logged_too() -> None:
    async with bench(f"http://127.0.0.1:{free_port()}") as one:
        async with running(lambda: one.prober.watch(one.pool)):
            await one.pool.until(lambda: len(one.pool.findings) > 2)
    (line,) = one.logged("replica")
    assert (line["was"], line["state"], line["reason"]) == ("failed", "failed", "no connection (ConnectFailed)")


async def test_a_change_that_traffic_made_is_logged_between_probes(upstream: ScriptedUpstream) -> None:
    rare = SETTINGS.model_copy(update={"ready_interval_s": 3600.0})
    async with bench(upstream.url, rare) as one:
        async with running(lambda: one.prober.watch(one.pool)):
            await one.pool.until(lambda: len(one.pool.findings) == 1)
            one.pool.belief = health.set_draining(one.pool.belief, True, time.monotonic())
            await one.pool.until(lambda: len(one.logged("replica")) > 1)
    assert [line["state"] for line in one.logged("replica")] == ["ready", "draining"]
    assert len(one.pool.findings) == 1


async def test_a_probe_that_is_always_due_does_not_keep_the_loop_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", noted)
    impatient = SETTINGS.model_copy(update={"failed_interval_s": 1e-9})

    async def answer(asked: str) -> Reply:
        return Reply(503, b"")

    async with bench("http://site:8081", impatient, answers=answer) as one:
        async with running(lambda: one.prober.watch(one.pool)):
            while len(one.pool.findings) < 3:
                await sleep(0)
    assert len(pauses) >= 2
    assert min(pauses) == MIN_PAUSE_S


# ---- the link


async def test_without_a_link_there_is_nothing_to_watch(upstream: ScriptedUpstream) -> None:
    async with bench(upstream.url) as one:
        await one.prober.watch_link()
        assert one.prober.paths == {}


async def test_a_change_of_path_is_logged_and_kept(tmp_path_factory: pytest.TempPathFactory) -> None:
    socket = tmp_path_factory.mktemp("tailscaled") / "sock"
    body = json.dumps(
        {
            "BackendState": "Running",
            "Peer": {"nodekey:aa": {"TailscaleIPs": ["100.64.0.7"], "Online": True, "Active": True, "Relay": "fra"}},
        }
    ).encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    link = Link(str(socket), ["100.64.0.7", "100.64.0.8"], timeout_s=5)
    async with await asyncio.start_unix_server(serve, socket), bench("http://100.64.0.7:8081", link=link) as one:
        assert set(one.prober.paths.values()) == {Path.UNKNOWN}
        async with running(one.prober.watch_link):
            await one.pool.until(lambda: len(one.logged("link")) == 2)
    assert one.prober.paths == {"100.64.0.7": Path.RELAYED, "100.64.0.8": Path.NONE}
    lines = [(line["host"], line["was"], line["path"]) for line in one.logged("link")]
    assert lines == [("100.64.0.7", "unknown", "relayed"), ("100.64.0.8", "unknown", "none")]
