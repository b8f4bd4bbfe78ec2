"""Settings: topology and limits in one TOML file, secrets and per-host values in the environment, nothing in both.

The slices and their defaults; `gateway.configuration` reads them. Every module gets its own slice, never the whole.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from gateway.routes import DEFAULT, Route, Tier

DATABASE_URL = "sqlite:///.scout/gateway.db"
DEALERSHIP_DIR = Path(__file__).parent / "dealership"
"""The dealership that is shipped: its prompt, intents, answers, opening hours and prices."""

_ON_PREM_ALONE = Route(chain=(Tier.ON_PREM,))

Seconds = Annotated[float, Field(gt=0, le=3600)]


class _Slice(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class OnPrem(_Slice):
    """The replicas as an upstream, and the four clocks of a request: connect, first content, idle gap, total."""

    model: str = "llama-70b-scout"
    connect_timeout_s: Seconds = Field(3.0, description="to a TCP connection; a tailnet path is up within a second")
    first_content_timeout_s: Seconds = Field(30.0, description="queue and prefill; whole answers that are not streamed")
    idle_timeout_s: Seconds = Field(30.0, description="the longest gap between two reads of a running stream")
    total_timeout_s: Seconds = Field(300.0, description="a whole stream, from the request's arrival, resumes included")
    max_connections_per_replica: int = Field(256, ge=1, description="sockets; beyond them requests wait for one")
    max_response_bytes: int = Field(16 * 1024 * 1024, ge=1024, description="the largest answer that is not streamed")


class Attempts(_Slice):
    """How often one request may be tried, and how much extra work all of them together may make."""

    max_attempts: int = Field(
        4, ge=1, le=10, description="per request: first try, retries, hedges and resumes together"
    )
    max_resumes: int = Field(2, ge=0, le=5, description="of one stream, after its first content")
    retry_ratio: float = Field(0.1, ge=0, le=1, description="extra attempts, pool-wide, as a share of the requests")
    retry_reserve: int = Field(
        60, ge=0, description="extra attempts saved up for a bad moment: what two dying replicas hold, and some"
    )
    unavailable_wait_s: float = Field(
        2.0, ge=0, le=60, description="while no replica can be used a request waits so long: below connect_timeout_s"
    )
    resume_wait_s: Seconds = Field(20.0, description="a broken stream waits so long for a place to go on")
    hedge: bool = Field(False, description="ask a second replica when the first token is late; the loser is cancelled")
    hedge_min_delay_s: Seconds = Field(0.2, description="no hedge before that, however low the observed p95 is")


class Health(_Slice):
    """How often replicas are asked how they are, and what is taken for a failure."""

    ready_interval_s: Seconds = Field(10.0, description="between two probes of a replica that is ready and idle")
    busy_interval_s: Seconds = Field(1.0, description="between two probes of one that has requests of ours")
    failed_interval_s: Seconds = Field(
        1.0, description="between two probes of one that is not ready: it may be back any time"
    )
    timeout_s: Seconds = Field(5.0, description="for a probe's answer; /health is slow under load")
    failures_before_failed: int = Field(
        2, ge=1, description="slow or refused probes in a row before a ready replica is failed; no connection is one"
    )
    stall_after_s: Seconds = Field(10.0, description="requests run and no token is counted for so long: it hangs")
    canary_interval_s: Seconds = Field(
        60.0, description="an idle replica generates one token that often, to prove it can"
    )
    canary_timeout_s: Seconds = Field(10.0, description="for that token")
    overloaded_waiting: int = Field(
        20, ge=1, description="requests in the engine's own queue, not all of them ours, at which it gets no more"
    )
    overloaded_kv_usage: float = Field(0.97, gt=0, le=1, description="share of the KV cache at which it gets no more")


class Breaker(_Slice):
    """When a replica's failures under traffic take it out, and how it comes back."""

    window_s: Seconds = Field(10.0, description="failures and successes older than that are forgotten")
    min_volume: int = Field(3, ge=1, description="outcomes in the window before it can open; one bad answer is none")
    failure_ratio: float = Field(0.5, gt=0, le=1, description="share of failures in the window at which it opens")
    open_s: Seconds = Field(2.0, description="between opening and the one probe; doubles with each failed probe")
    max_open_s: Seconds = Field(30.0, description="the longest of these pauses")
    ramp_s: float = Field(
        5.0, ge=0, le=600, description="after closing, the replica's limit grows to the full in that time"
    )


class Admission(_Slice):
    """How much is let in at once, and how long the rest waits."""

    max_concurrent_per_replica: int = Field(10, ge=1, description="requests on one replica, as its profile has it")
    max_queued: int = Field(60, ge=0, description="requests waiting for a place, over all replicas; more get a 429")
    max_wait_s: Seconds = Field(10.0, description="the longest wait for a place; then a 429")
    batch_ages_s: float = Field(
        5.0, ge=0, description="a batch request lets interactive ones pass that come within this"
    )


class Affinity(_Slice):
    """Which replica holds which prefix, and how far that may outweigh load."""

    max_index_bytes: int = Field(
        2 * 1024 * 1024, ge=4096, description="of the index; the least recently used goes first"
    )
    min_share: float = Field(0.3, ge=0, le=1, description="of the prompt that must be held before it counts")
    max_lead: int = Field(3, ge=0, description="requests that the holder may have more than the least busy replica")


class Limits(_Slice):
    """What a client may send."""

    max_body_bytes: int = Field(4 * 1024 * 1024, ge=1024, description="of a request; a full 32k-token prompt is 150 kB")
    max_message_chars: int = Field(8000, ge=1, description="of /api/chat's message: what a person types")
    max_answers: int = Field(4, ge=1, description="`n`: answers to one question")
    max_tokens: int = Field(8192, ge=1, description="`max_tokens` and `max_completion_tokens`")
    max_top_logprobs: int = Field(20, ge=0, description="`top_logprobs`, vLLM's own bound")
    max_stop_strings: int = Field(4, ge=0, description="`stop`, vLLM's own bound")
    max_stop_chars: int = Field(256, ge=1, description="of each stop string")
    max_schema_bytes: int = Field(
        64 * 1024, ge=1, description="of a JSON schema or grammar; compiling it costs the engine"
    )
    max_tools: int = Field(128, ge=0, description="`tools`")


class DoorClocks(_Slice):
    """A front door's own clocks, where they differ from [on_prem]'s, and its place in the queue."""

    first_content_timeout_s: Seconds | None = None
    idle_timeout_s: Seconds | None = None
    total_timeout_s: Seconds | None = None
    priority: Literal["interactive", "batch"] = Field(
        "interactive", description="a client may lower it with the header x-scout-priority"
    )


class ChatCompletions(DoorClocks):
    """The OpenAI-compatible endpoint, /v1/chat/completions."""


class Chat(DoorClocks):
    """The conversation endpoint, /api/chat."""

    max_tokens: int = Field(512, ge=1)
    temperature: float = Field(0.2, ge=0, le=2, description="low: an assistant that quotes prices should not improvise")


class Cloud(_Slice):
    """The cloud model behind OpenAI's API. There is such a tier only where a key for it is set."""

    model: str = Field("gpt-4.1-mini", description="the model's name there; its prices stand in prices.toml")
    connect_timeout_s: Seconds = Field(3.0, description="to a connection")
    first_content_timeout_s: Seconds = Field(10.0, description="then the tier has failed")
    idle_timeout_s: Seconds = Field(20.0, description="the longest gap between two reads of a running stream")
    total_timeout_s: Seconds = Field(120.0, description="a whole stream")
    monthly_budget_usd: float | None = Field(
        None, ge=0, description="a hard stop: nothing is sent once a month has cost so much"
    )


class Cache(_Slice):
    """Answers that are the same for everybody."""

    max_bytes: int = Field(16 * 1024 * 1024, ge=0, description="of all entries; the least recently used goes first")
    max_entry_bytes: int = Field(32 * 1024, ge=1, description="a longer answer is not kept")
    max_temperature: float = Field(0.3, ge=0, le=2, description="an answer made with more of it is one of many")


class Sessions(_Slice):
    """What is remembered of a conversation."""

    expire_after_s: float = Field(2_592_000.0, gt=0, description="of idleness; then it is deleted: 30 days")
    max_messages: int = Field(400, ge=2, description="of one conversation; the oldest exchanges go first")
    max_previous: int = Field(100, ge=0, description="messages of `previousMessages`, the history that a client sends")
    busy_wait_s: float = Field(
        0.0, ge=0, le=60, description="a second message while one is answered waits so long; then a 409"
    )
    context_tokens: int = Field(4096, ge=256, description="the model's context; what does not fit is left out")


class Cors(_Slice):
    """Which web pages may call us from a browser."""

    allow_origins: tuple[str, ...] = Field((), strict=False)  # TOML has lists only
    allow_origin_regex: str | None = Field(None, description="anchored by us; for preview deployments")

    @field_validator("allow_origin_regex")
    @classmethod
    def _check_regex(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern


class Listen(_Slice):
    """Where we are found; from the environment."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)


class Shutdown(_Slice):
    """How we stop."""

    notice_s: float = Field(
        1.0, ge=0, le=60, description="after SIGTERM /readyz says 503 that long before we stop to listen"
    )
    grace_s: Seconds = Field(60.0, description="for streams under way after that; then they end with an error")


class Topology(_Slice):
    """The whole of gateway.toml."""

    on_prem: OnPrem = OnPrem()
    attempts: Attempts = Attempts()
    admission: Admission = Admission()
    affinity: Affinity = Affinity()
    health: Health = Health()
    breaker: Breaker = Breaker()
    limits: Limits = Limits()
    chat_completions: ChatCompletions = ChatCompletions()
    chat: Chat = Chat()
    cloud: Cloud = Cloud()
    cache: Cache = Cache()
    sessions: Sessions = Sessions()
    routes: dict[str, Route] = {}
    cors: Cors = Cors()
    shutdown: Shutdown = Shutdown()


class Settings(Topology):
    """Topology, and what the environment says of this host."""

    listen: Listen
    replica_urls: tuple[str, ...]
    api_keys: tuple[SecretStr, ...]
    admin_keys: tuple[SecretStr, ...] = ()
    onprem_key: SecretStr
    openai_key: SecretStr | None = None
    openai_url: str = "https://api.openai.com/v1"
    database_url: str = DATABASE_URL
    dealership_dir: Path = DEALERSHIP_DIR
    tokenizer: Path | None = None
    tailscale_socket: str = ""

    def route(self, name: str) -> Route:
        """A row of the routing table, or that of the default route. Without a table there is on-prem alone."""
        return self.routes.get(name) or self.routes.get(DEFAULT) or _ON_PREM_ALONE

    @model_validator(mode="after")
    def _check_together(self) -> "Settings":
        if self.on_prem.idle_timeout_s > self.on_prem.total_timeout_s:
            raise ValueError("on_prem.idle_timeout_s is longer than on_prem.total_timeout_s")
        return self
