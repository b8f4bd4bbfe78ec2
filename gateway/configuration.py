"""Reads the settings: the TOML file and the environment, once, in `__main__`; every problem is named, all at once."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import AnyHttpUrl, SecretStr, TypeAdapter, ValidationError

from gateway.auth import split_name
from gateway.settings import DATABASE_URL, DEALERSHIP_DIR, Settings, Topology

ENVIRONMENT = {
    "SCOUT_CONFIG": "the configuration file; gateway.toml in the working directory if unset",
    "SCOUT_HOST": "the address to listen on; 127.0.0.1 if unset",
    "SCOUT_PORT": "the port to listen on; 8000 if unset",
    "SCOUT_REPLICA_URLS": "nginx's per-replica addresses, comma-separated, as http://host:8081,http://host:8082",
    "SCOUT_API_KEYS": "the keys that let clients in, comma-separated, name:key or key; or SCOUT_API_KEYS_FILE, one a line",
    "SCOUT_ADMIN_KEYS": "the keys that may drain replicas, comma-separated; or SCOUT_ADMIN_KEYS_FILE; none if unset",
    "SCOUT_ONPREM_KEY": "the key towards nginx on-prem; or SCOUT_ONPREM_KEY_FILE",
    "SCOUT_OPENAI_KEY": "the key of the cloud tier; or SCOUT_OPENAI_KEY_FILE; no cloud tier if unset",
    "SCOUT_OPENAI_URL": "where OpenAI's API is; https://api.openai.com/v1 if unset",
    "SCOUT_DATABASE_URL": "sessions, inventory, appointments and ledgers; sqlite:///.scout/gateway.db if unset",
    "SCOUT_DEALERSHIP_DIR": "prompt, intents, answers, hours and prices; those of gateway/dealership if unset",
    "SCOUT_TOKENIZER": "the model's tokenizer.json, to count what fits its context; one token a byte if unset",
    "SCOUT_TAILSCALE_SOCKET": "tailscaled's LocalAPI socket, to tell a direct path from a relayed one",
}
"""Every environment variable that the gateway reads. A secret may stand in a file instead, named with _FILE."""

DEFAULT_OPENAI_URL = "https://api.openai.com/v1"

MIN_KEY_LENGTH = 16  # a judgment: 16 characters of a random key are out of reach of guessing over HTTP


class SettingsError(Exception):
    """The settings cannot be used; the message names each bad key and what is wrong with it."""


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
        "admin_keys": host.admin_keys(),
        "onprem_key": host.onprem_key(),
        "openai_key": host.openai_key(),
        "openai_url": host.openai_url(),
        "database_url": database_url(environ),
        "dealership_dir": dealership_dir(environ),
        "tokenizer": host.tokenizer(),
        "tailscale_socket": environ.get("SCOUT_TAILSCALE_SOCKET") or "",
    }
    problems += host.problems
    if problems:
        raise SettingsError("\n".join(problems))
    try:
        return Settings.model_validate({**topology.model_dump(), **values})
    except ValidationError as error:
        raise SettingsError(_explain(error, str(path))) from error


def database_url(environ: Mapping[str, str]) -> str:
    """Where the database is, in SQLAlchemy's terms; for the commands too, which need no other setting."""
    return environ.get("SCOUT_DATABASE_URL") or DATABASE_URL


def dealership_dir(environ: Mapping[str, str]) -> Path:
    """The folder of the dealership's own data."""
    return Path(environ.get("SCOUT_DEALERSHIP_DIR") or DEALERSHIP_DIR)


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

    def openai_key(self) -> SecretStr | None:
        keys = self._keys("SCOUT_OPENAI_KEY", required=False)
        if len(keys) > 1:
            self.problems.append("SCOUT_OPENAI_KEY: one key is wanted")
        return keys[0] if keys else None

    def tokenizer(self) -> Path | None:
        value = self._environ.get("SCOUT_TOKENIZER")
        if value and not Path(value).is_file():
            self.problems.append(f"SCOUT_TOKENIZER: {value}: there is no such file")
        return Path(value) if value else None

    def openai_url(self) -> str:
        url = self._environ.get("SCOUT_OPENAI_URL") or DEFAULT_OPENAI_URL
        try:
            TypeAdapter(AnyHttpUrl).validate_python(url)
        except ValidationError:
            self.problems.append(f"SCOUT_OPENAI_URL: {url!r} is not an http address such as {DEFAULT_OPENAI_URL}")
        return url.rstrip("/")

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

    def admin_keys(self) -> tuple[SecretStr, ...]:
        return self._keys("SCOUT_ADMIN_KEYS", required=False)

    def onprem_key(self) -> SecretStr:
        keys = self._keys("SCOUT_ONPREM_KEY")
        if len(keys) > 1:
            self.problems.append("SCOUT_ONPREM_KEY: one key is wanted; nginx may accept several, we send one")
        return keys[0] if keys else SecretStr("")

    def _keys(self, name: str, *, required: bool = True) -> tuple[SecretStr, ...]:
        before = len(self.problems)
        keys = _split(self._secret(name))
        if required and not keys and len(self.problems) == before:
            self.problems.append(f"{name}: not set; {ENVIRONMENT[name]}")
        for position, named in enumerate(keys, 1):
            key = split_name(named)[1]
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
