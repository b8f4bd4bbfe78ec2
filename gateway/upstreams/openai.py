"""OpenAI, or whoever speaks its protocol: asks for a streamed chat completion and reads the answer.

The official SDK makes the request and knows the API's errors; `gateway.upstreams.egress` records and sends it. The
SDK's own stream is not used: it does not tell an answer that was cut off from a whole one, and cannot be closed without
waiting. Promises: `open` is the one function that leads to the cloud, it takes nothing but what the privacy step has
cleared, it sends once, and each of its four clocks ends in an error of ours.
"""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import httpx2
import openai

from gateway.errors import DeadlineExceeded
from gateway.logs import Log
from gateway.ports import AttemptFailed, Chunk, Fault, PassOn
from gateway.privacy.clearance import Cleared
from gateway.settings import Cloud
from gateway.upstreams import cloud_chunks, cloud_failures
from gateway.upstreams.egress import Ledger, NotRecorded, OneRequest
from gateway.upstreams.http1 import Client, ConnectFailed, Disconnected, ProtocolBroken, Response
from shared import sse

MAX_CONNECTIONS = 256  # a judgment, as for a replica: beyond them requests wait for one

PASSED = (
    *("messages", "tools", "tool_choice", "parallel_tool_calls", "response_format"),
    *("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "stop"),
)
"""Of a cleared body: what OpenAI knows and the answer depends on. What steers our engine, or names a client, stays."""


def open_client(settings: Cloud) -> Client:
    """The HTTP client for the cloud. Close it when the gateway stops."""
    return Client(
        connect_timeout_s=settings.connect_timeout_s, max_connections_per_origin=MAX_CONNECTIONS, keepalive_s=0.0
    )


class OpenAiUpstream:
    """Satisfies `gateway.tiers.cloud.CloudUpstream`. `base_url` ends before `/chat/completions`."""

    def __init__(self, client: Client, settings: Cloud, base_url: str, key: str, ledger: Ledger, log: Log) -> None:
        self._client = client
        self._settings = settings
        self._base_url = base_url
        self._key = key
        self._ledger = ledger
        self._log = log

    async def open(self, cleared: Cleared, request_id: str) -> "OpenAiStream":
        """Returns once the answer's headers have come. Raises AttemptFailed; TypeError for what was not cleared.

        Nothing is sent before it is recorded. Safe to cancel: the connection is then cut at once.
        """
        began_at = asyncio.get_running_loop().time()
        sending = OneRequest(self._client, self._ledger, cleared, request_id=request_id, model=self._settings.model)
        with ExitStack() as held:
            held.callback(sending.close)
            try:
                response = await self._send(sending, cleared.body)
            except AttemptFailed as failed:
                # A key that is refused, or a wrong name, is nowhere else to be seen. Never the cloud's own words.
                self._log.warning("cloud", request_id=request_id, code=failed.error.code, detail=failed.error.detail)
                raise
            held.pop_all()
        return OpenAiStream(response, self._settings, began_at)

    async def _send(self, sending: OneRequest, body: Mapping[str, Any]) -> Response:
        limit_s = self._settings.first_content_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                await self._sdk(sending).chat.completions.with_raw_response.create(
                    **asked(body),
                    model=self._settings.model,
                    stream=True,
                    stream_options={"include_usage": True},
                    store=False,  # or the account's own setting decides whether the cloud keeps the conversation
                )
        except TimeoutError as error:
            raise cloud_failures.late(f"no headers within {limit_s:g} s") from error
        except (openai.OpenAIError, NotRecorded, ConnectFailed, Disconnected, ProtocolBroken) as error:
            raise cloud_failures.from_exception(error) from error
        assert sending.response is not None  # noqa: S101  # there was an answer, and it came over this
        return _stream_of_events(sending.response)

    def _sdk(self, transport: OneRequest) -> openai.AsyncOpenAI:
        """A client of its own for each request: it costs a millisecond, and holds nothing that must be closed."""
        http = httpx2.AsyncClient(transport=transport, timeout=None, trust_env=False)  # the clocks are ours
        return openai.AsyncOpenAI(api_key=self._key, base_url=self._base_url, max_retries=0, http_client=http)


class OpenAiStream:
    """Satisfies `gateway.ports.UpstreamStream`."""

    __slots__ = ("_began_at", "_content", "_decoder", "_done", "_failure", "_finished", "_response", "_settings")

    def __init__(self, response: Response, settings: Cloud, began_at: float) -> None:
        self._response = response
        self._settings = settings
        self._began_at = began_at
        self._decoder = sse.Decoder()
        self._content = False
        self._finished = False
        self._done = False
        self._failure: AttemptFailed | None = None

    async def read(self, pass_on: PassOn | None = None) -> list[Chunk] | None:
        """See the protocol. What came before a failure is delivered before the failure is raised."""
        waited = False
        while self._failure is None and not self._done:
            data = self._take()
            if data is None:
                await self._wait()
                waited = True
            elif chunks := self._decode(data):
                if pass_on is None or not waited or self._done or self._failure is not None:
                    return chunks
                if (left := pass_on(chunks)) is not None:
                    return left
        if self._failure is not None:
            raise self._failure
        return None

    @property
    def over(self) -> bool:
        """See the protocol."""
        return self._done and self._failure is None

    def interrupt(self, failure: Exception) -> None:
        """See the protocol."""
        self._response.interrupt(failure)

    def close(self) -> None:
        """See the protocol."""
        self._response.close()

    def _take(self) -> bytes | None:
        """What has come; None if nothing has. Raises AttemptFailed when nothing more will."""
        try:
            data = self._response.take()
        except (Disconnected, ProtocolBroken) as error:
            raise cloud_failures.from_exception(error) from error
        if data == b"":
            raise cloud_failures.broken_off("the body ended without [DONE]")
        return data

    async def _wait(self) -> None:
        """For news, as long as the clocks allow. Raises AttemptFailed."""
        clock, runs_out_at = self._next_clock(asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout_at(runs_out_at):
                await self._response.news()
        except TimeoutError as error:
            raise self._late(clock) from error

    def _next_clock(self, now: float) -> tuple[str, float]:
        """The one that runs out first, and when."""
        settings = self._settings
        clocks = {"idle": now + settings.idle_timeout_s, "total": self._began_at + settings.total_timeout_s}
        if not self._content:
            clocks["first content"] = self._began_at + settings.first_content_timeout_s
        return min(clocks.items(), key=lambda clock: clock[1])

    def _late(self, clock: str) -> AttemptFailed:
        if clock != "total":
            return cloud_failures.late(f"the clock that ran out: {clock}")
        limit_s = self._settings.total_timeout_s  # no illness: a long answer, or a client that reads slowly
        return AttemptFailed(DeadlineExceeded(f"The answer was not whole within {limit_s:g} seconds."), Fault.NONE)

    def _decode(self, data: bytes) -> list[Chunk]:
        chunks: list[Chunk] = []
        try:
            for event in self._decoder.feed(data):
                if event.data.startswith(sse.DONE):
                    self._done = True
                    break
                chunks.append(self._note(cloud_chunks.chunk(event)))
        except AttemptFailed as failed:
            self._failure = failed
        if self._failure is None and self._done and not self._finished:
            self._failure = cloud_failures.broken_off("[DONE] without a finish_reason")
        if self._failure is None and self._decoder.too_large:
            self._failure = cloud_failures.faulty("an event that does not end")
        return chunks

    def _note(self, chunk: Chunk) -> Chunk:
        self._content |= chunk.content
        self._finished |= bool(chunk.finished)
        return chunk


def asked(body: Mapping[str, Any]) -> dict[str, Any]:
    """What the cloud is asked, of what was cleared; the bound on tokens by the name that all of its models take."""
    sent = {name: body[name] for name in PASSED if body.get(name) is not None}
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    return sent if limit is None else {**sent, "max_completion_tokens": limit}


def _stream_of_events(response: Response) -> Response:
    kind = (response.header("content-type") or "").partition(";")[0].strip().lower()
    if kind != "text/event-stream":
        raise cloud_failures.faulty("a stream was asked for and something else came")
    if (response.header("content-encoding") or "identity").strip().lower() != "identity":
        raise cloud_failures.faulty("a compressed stream, which was not asked for")
    return response
