"""What a local stack is made of: ports, replicas, directories, read once from the environment.

Two stacks run side by side when their state directory and ports differ. Nothing here touches the disk.
"""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

MODEL_NAME = "llama-70b-scout"
HOST = "127.0.0.1"

# The variable behind each setting: error messages and preflight name it, so that the reader knows what to change.
VARIABLES: Mapping[str, str] = {
    "gateway_port": "SCOUT_PORT",
    "balanced_port": "SCOUT_ONPREM_PORT",
    "replica_port": "SCOUT_REPLICA_PORT",
    "engine_port": "SCOUT_ENGINE_PORT",
    "replicas": "SCOUT_REPLICAS",
    "profile": "SCOUT_PROFILE",
    "model_dir": "SCOUT_MODEL_DIR",
    "state_dir": "SCOUT_STATE_DIR",
    "engine_python": "SCOUT_ENGINE_PYTHON",
    "start_timeout_s": "SCOUT_START_TIMEOUT",
    "skip_memory_check": "SCOUT_SKIP_MEMORY_CHECK",
}

Port = Annotated[int, Field(ge=1, le=65535)]


class NginxAccount(StrEnum):
    """Whose rights nginx runs with."""

    SAME = "same"  # of whoever starts the stack
    NOBODY = "nobody"
    ROOT = "root"


class BadSettings(Exception):
    """A variable of the environment holds what it must not; the message names it."""


class StackSettings(BaseModel):
    """One local stack. Ports of replica i are `replica_port + i` (nginx) and `engine_port + i` (vLLM)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path
    state_dir: Path
    engine_python: Path
    replicas: Annotated[int, Field(ge=1, le=8)] = 3
    gateway_port: Port = 8000
    balanced_port: Port = 8080
    replica_port: Port = 8081
    engine_port: Port = 8091
    profile: str = "standin-cpu"
    # Instead of the folder that the profile names.
    model_dir: Path | None = None
    # A replica is ready in 30-50 s alone; three on two busy cores have been seen to take minutes.
    start_timeout_s: Annotated[float, Field(gt=0)] = 600.0
    restart: bool = True
    skip_memory_check: bool = False
    nginx_account: NginxAccount = NginxAccount.SAME

    @model_validator(mode="after")
    def ports_differ(self) -> Self:
        owners: dict[int, str] = {}
        for port, (name, variable) in self.ports().items():
            if port > 65535:
                raise ValueError(f"{name} would get port {port}: choose a lower {variable}")
        for name, variable, port in self._each_port():
            if port in owners:
                raise ValueError(f"port {port} is meant for both {owners[port]} and {name}: change {variable}")
            owners[port] = name
        return self

    def ports(self) -> dict[int, tuple[str, str]]:
        """Every port the stack listens on -> (who listens, the variable that moves it)."""
        return {port: (name, variable) for name, variable, port in self._each_port()}

    def _each_port(self) -> list[tuple[str, str, int]]:
        each = [
            ("the gateway", VARIABLES["gateway_port"], self.gateway_port),
            ("nginx (balanced)", VARIABLES["balanced_port"], self.balanced_port),
        ]
        for i in range(self.replicas):
            each.append((f"nginx for replica {i}", VARIABLES["replica_port"], self.replica_port + i))
            each.append((f"vLLM of replica {i}", VARIABLES["engine_port"], self.engine_port + i))
        return each

    @property
    def gateway_url(self) -> str:
        return f"http://{HOST}:{self.gateway_port}"

    @property
    def balanced_url(self) -> str:
        return f"http://{HOST}:{self.balanced_port}"

    @property
    def replica_urls(self) -> tuple[str, ...]:
        """The nginx port of each replica: what the gateway talks to."""
        return tuple(f"http://{HOST}:{self.replica_port + i}" for i in range(self.replicas))

    @property
    def engine_urls(self) -> tuple[str, ...]:
        """vLLM itself, behind nginx; for tests that look at the engine directly."""
        return tuple(f"http://{HOST}:{self.engine_port + i}" for i in range(self.replicas))


def from_environment(environ: Mapping[str, str], root: Path, **given: Any) -> StackSettings:
    """Settings of this checkout; `given` (command-line options that are not None) wins over the environment.

    Raises `BadSettings` naming the variable.
    """
    values: dict[str, Any] = {
        "root": root,
        "state_dir": root / ".scout",
        "engine_python": root / ".venv-engine" / "bin" / "python",
    }
    values |= {field: environ[name] for field, name in VARIABLES.items() if environ.get(name)}
    values |= {field: value for field, value in given.items() if value is not None}
    values["state_dir"] = Path(values["state_dir"]).absolute()
    try:
        return StackSettings.model_validate(values)
    except ValidationError as error:
        raise BadSettings("; ".join(_sentence(e) for e in error.errors())) from error


def _sentence(error: Any) -> str:
    if not error["loc"]:
        return str(error["msg"]).removeprefix("Value error, ")
    field = str(error["loc"][0])
    return f"{VARIABLES.get(field, field)}={error['input']}: {error['msg']}"
