"""Settings: topology and limits in one TOML file, secrets and per-host values in the environment, nothing in both.

Read once, in `__main__`, checked whole, and refused with the name of the bad key. Every module gets its own slice.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

Seconds = Annotated[float, Field(gt=0, le=3600)]

ENVIRONMENT = {
    "SCOUT_CONFIG": "the configuration file; gateway.toml in the working directory if unset",
    "SCOUT_HOST": "the address to listen on; 127.0.0.1 if unset",
    "SCOUT_PORT": "the port to listen on; 8000 if unset",
    "SCOUT_REPLICA_URLS": "nginx's per-replica addresses, comma-separated, as http://host:8081,http://host:8082",
    "SCOUT_API_KEYS": "the keys that let clients in, comma-separated; or SCOUT_API_KEYS_FILE, one a line",
    "SCOUT_ONPREM_KEY": "the key towards nginx on-prem; or SCOUT_ONPREM_KEY_FILE",
}
"""Every environment variable that the gateway reads. A secret may stand in a file instead, named with _FILE."""

MIN_KEY_LENGTH = 16  # a judgment: 16 characters of a random key are out of reach of guessing over HTTP


class SettingsError(Exception):
    """The settings cannot be used; the message names each bad key and what is wrong with it."""


class _Slice(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class OnPrem(_Slice):
    """The replicas as an upstream."""

    model: str = "llama-70b-scout"
    connect_timeout_s: Seconds = Field(3.0, description="to a TCP connection; a tailnet path is up within a second")
    first_content_timeout_s: Seconds = Field(30.0, description="queue and prefill; whole answers that are not streamed")
    idle_timeout_s: Seconds = Field(30.0, description="the longest gap between two reads of a running stream")
    total_timeout_s: Seconds = Field(300.0, description="a whole stream, from the first byte asked for")
    attempts: int = Field(2, ge=1, le=5, description="tries before the first content, each on another replica")
    max_connections_per_replica: int = Field(256, ge=1, description="sockets; beyond them requests wait for one")
    max_response_bytes: int = Field(16 * 1024 * 1024, ge=1024, description="the largest answer that is not streamed")


class Health(_Slice):
    """How often replicas are asked how they are."""

    ready_interval_s: Seconds = Field(30.0, description="between two probes of a replica that is ready")
    failed_interval_s: Seconds = Field(
        1.0, description="between two probes of one that is not: it may be back any time"
    )
    timeout_s: Seconds = Field(5.0, description="for a probe's answer; /health is slow under load")
    failures_before_failed: int = Field(
        2, ge=1, description="slow or refused probes in a row before a ready replica is failed; no connection is one"
    )


class Limits(_Slice):
    """What a client may send."""

    max_body_bytes: int = Field(4 * 1024 * 1024, ge=1024, description="of a request; a full 32k-token prompt is 150 kB")
    max_message_chars: int = Field(8000, ge=1, description="of /api/chat's message: what a person types")


class Chat(_Slice):
    """The conversation endpoint, /api/chat."""

    max_tokens: int = Field(512, ge=1)
    temperature: float = Field(0.2, ge=0, le=2, description="low: an assistant that quotes prices should not improvise")


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

    grace_s: Seconds = Field(60.0, description="for streams under way after SIGTERM")


class Topology(_Slice):
    """The whole of gateway.toml."""

    on_prem: OnPrem = OnPrem()
    health: Health = Health()
    limits: Limits = Limits()
    chat: Chat = Chat()
    cors: Cors = Cors()
    shutdown: Shutdown = Shutdown()


class Settings(Topology):
    """Topology, and what the environment says of this host."""

    listen: Listen
    replica_urls: tuple[str, ...]
    api_keys: tuple[SecretStr, ...]
    onprem_key: SecretStr

    @model_validator(mode="after")
    def _check_together(self) -> "Settings":
        if self.on_prem.idle_timeout_s > self.on_prem.total_timeout_s:
            raise ValueError("on_prem.idle_timeout_s is longer than on_prem.total_timeout_s")
        return self


def load(environ: Mapping[str, str]) -> Settings:
    """The settings of this process. Raises SettingsError, naming each bad key."""
    path = Path(environ.get("SCOUT_CONFIG") or "gateway.toml")
    problems: list[str] = []
    try:
        topology = _read_topology(path)
    except SettingsError as error:
        problems.append(str(error))
        topology = Topology()
    host = _Environment(environ)
    values = {
        "listen": {"host": environ.get("SCOUT_HOST") or "127.0.0.1", "port": host.port()},
        "replica_urls": host.replica_urls(),
        "api_keys": host.api_keys(),
        "onprem_key": host.onprem_key(),
    }
    problems += host.problems
    if problems:
        raise SettingsError("\n".join(problems))
    try:
        return Settings.model_validate({**topology.model_dump(), **values})
    except ValidationError as error:
        raise SettingsError(_explain(error, str(path))) from error


def _read_topology(path: Path) -> Topology:
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such file; name the configuration with SCOUT_CONFIG") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    try:
        return Topology.model_validate(raw)
    except ValidationError as error:
        raise SettingsError(_explain(error, str(path))) from error


def _explain(error: ValidationError, where: str) -> str:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "the settings"
        unknown = problem["type"] == "extra_forbidden"
        lines.append(f"{where}: {key}: {'there is no such setting' if unknown else problem['msg']}")
    return "\n".join(lines)


class _Environment:
    """Reads the variables, collecting what is wrong instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def port(self) -> int:
        value = self._environ.get("SCOUT_PORT") or "8000"
        if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= 65535:
            self.problems.append(f"SCOUT_PORT: {value!r} is not a port")
            return 8000
        return int(value)

    def replica_urls(self) -> tuple[str, ...]:
        urls = tuple(self._address(url) for url in _split(self._environ.get("SCOUT_REPLICA_URLS", "")))
        if not urls:
            self.problems.append(f"SCOUT_REPLICA_URLS: not set; {ENVIRONMENT['SCOUT_REPLICA_URLS']}")
        if len(set(urls)) < len(urls):
            self.problems.append("SCOUT_REPLICA_URLS: the same address stands there twice")
        return urls

    def _address(self, url: str) -> str:
        """`url` in its normal spelling, so that paths can be appended and two that are the same are equal."""
        try:
            parsed = TypeAdapter(AnyHttpUrl).validate_python(url)
        except ValidationError:
            self.problems.append(f"SCOUT_REPLICA_URLS: {url!r} is not an http address such as http://100.64.0.7:8081")
            return url
        # An empty query or fragment ("http://host?") counts too: whatever is appended would become part of it.
        beyond = (parsed.query, parsed.fragment, parsed.username, parsed.password)
        if parsed.path not in (None, "/") or beyond != (None, None, None, None):
            self.problems.append(f"SCOUT_REPLICA_URLS: {url!r} must be scheme, host and port only")
        return str(parsed).rstrip("/")

    def api_keys(self) -> tuple[SecretStr, ...]:
        return self._keys("SCOUT_API_KEYS")

    def onprem_key(self) -> SecretStr:
        keys = self._keys("SCOUT_ONPREM_KEY")
        if len(keys) > 1:
            self.problems.append("SCOUT_ONPREM_KEY: one key is wanted; nginx may accept several, we send one")
        return keys[0] if keys else SecretStr("")

    def _keys(self, name: str) -> tuple[SecretStr, ...]:
        before = len(self.problems)
        keys = _split(self._secret(name))
        if not keys and len(self.problems) == before:
            self.problems.append(f"{name}: not set; {ENVIRONMENT[name]}")
        for position, key in enumerate(keys, 1):
            if len(key) < MIN_KEY_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
                self.problems.append(
                    f"{name}: key {position} must be {MIN_KEY_LENGTH} or more visible ASCII characters"
                )
        return tuple(SecretStr(key) for key in keys)

    def _secret(self, name: str) -> str:
        inline, file = self._environ.get(name, ""), self._environ.get(f"{name}_FILE", "")
        if inline and file:
            self.problems.append(f"{name}: set both by itself and as {name}_FILE; keep one")
        if not file:
            return inline
        try:
            lines = Path(file).read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            self.problems.append(f"{name}_FILE: {error}")
            return ""
        return ",".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def describe(settings: Settings) -> dict[str, Any]:
    """The settings as plain data with the secrets masked, for `gateway check`."""
    return settings.model_dump(mode="json")
