"""A profile: one named set of engine settings, read from TOML and checked whole before anything starts.

Every key has a type, a unit in its name and a description. Unknown keys are refused with the file and the path of the
key, because a misspelt limit that is silently ignored is a limit that does not exist. Relative paths in a profile are
relative to the profile's own folder. Standard library and pydantic only: the gateway's tools read profiles too.
"""

import difflib
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, model_validator

from inference.errors import ProfileInvalid, ProfileNotFound

PROFILES_DIR = Path(__file__).parent / "profiles"


def _resolve(value: Any, info: ValidationInfo) -> Any:
    folder = (info.context or {}).get("folder")
    return Path(os.path.normpath(folder / value)) if folder is not None and isinstance(value, str) else value


FilePath = Annotated[Path, BeforeValidator(_resolve)]
"""A path; relative ones start at the folder of the profile they stand in."""


class Section(BaseModel):
    """One table of a profile: immutable, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Model(Section):
    """Which weights are served, and how conversations become prompts."""

    path: FilePath = Field(
        description="Folder with the checkpoint; --model-dir or SCOUT_MODEL_DIR replace it. Never a hub name: the "
        "engine runs offline, and a folder does not change under a running fleet as a hub's branch can."
    )
    repository: str | None = Field(
        default=None,
        description="Where the checkpoint in `path` comes from (owner/name on the hub). Only told to the operator.",
    )
    revision: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{40}$",
        description="The full commit of `repository` that the operator reviewed. Never a branch or a tag: those move.",
    )
    served_name: str = Field(default="llama-70b-scout", description="The model name that clients send.")
    attention_heads: int = Field(
        ge=1, description="Attention heads of the checkpoint (config.json). Tensor parallelism has to divide them."
    )
    chat_template: FilePath | None = Field(
        default=None,
        description="Jinja file that turns messages into a prompt. Left out: the template the checkpoint ships.",
    )
    chat_template_content_format: Literal["auto", "string", "openai"] = Field(
        default="auto",
        description="Form in which the template gets message contents. auto: vLLM reads it off the template.",
    )


class Parallelism(Section):
    """How one replica is spread over devices."""

    tensor_parallel_size: int = Field(
        default=1, ge=1, description="Devices (on CPU: processes) that one replica is split over."
    )


class Limits(Section):
    """How much one replica takes on, and for how long."""

    max_concurrent_requests: int = Field(
        default=10, ge=1, description="Sequences computed at the same time. A request with n answers counts n times."
    )
    max_queued_requests: int = Field(
        default=30,
        ge=1,
        description="Requests running plus waiting. The next one gets a 503 at once instead of a long wait.",
    )
    request_timeout_s: int = Field(
        default=30,
        ge=1,
        description="Longest silence of the engine that nginx accepts within a request, in seconds.",
    )
    max_model_len: int = Field(ge=1, description="Longest prompt plus answer of one request, in tokens.")
    max_num_batched_tokens: int = Field(
        ge=1,
        description="Tokens computed in one step. Smaller: steadier gaps between tokens; larger: faster prompts.",
    )
    max_answers_per_request: int = Field(
        default=8,
        ge=1,
        description="Upper bound of a request's `n`. vLLM's own is 16384, enough for one request to fill a replica.",
    )


class Memory(Section):
    """Where the key-value cache gets its room: a share of each GPU, or a fixed size on CPU."""

    gpu_memory_utilization: float | None = Field(
        default=None, gt=0, lt=1, description="Share of each GPU that weights, activations and cache may fill together."
    )
    kv_cache_mib: int | None = Field(
        default=None, ge=1, description="Size of the cache of each process on CPU, in MiB."
    )


class Cpu(Section):
    """Settings that only mean something on CPU."""

    threads: int = Field(default=1, ge=1, description="OpenMP threads of each engine process.")


class Engine(Section):
    """How vLLM computes and behaves as a server."""

    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        default="auto", description="Type of weights and activations. auto: the checkpoint's own."
    )
    quantization: str | None = Field(
        default=None,
        description="Method for quantizing while loading. Left out for checkpoints that are quantized already: they "
        "say how, and naming it again can only select a worse kernel or contradict them.",
    )
    kv_cache_dtype: Literal["auto", "fp8", "fp8_e4m3", "fp8_e5m2"] = Field(
        default="auto",
        description="Type of the cache. FP8 halves it at a cost in accuracy, so it is a choice, never a default.",
    )
    load_format: Literal["auto", "safetensors", "runai_streamer", "dummy"] = Field(
        default="auto", description="How weights are read. dummy: random weights, to try a machine without a download."
    )
    enforce_eager: bool = Field(
        default=False, description="Skip compilation and graph capture: starts sooner, answers slower."
    )
    scheduling_policy: Literal["fcfs", "priority"] = Field(
        default="priority",
        description="priority lets a request overtake by its `priority` (lower is earlier); equal ones stay in order.",
    )
    shutdown_timeout_s: int = Field(
        ge=0, description="Seconds that requests in flight may take to finish after SIGTERM. 0 aborts them at once."
    )
    sse_keep_alive_s: int = Field(
        default=15,
        ge=0,
        description="Seconds of silence after which a stream gets a comment line. Below the time-outs in front.",
    )
    http_keep_alive_s: int = Field(
        default=75,
        gt=60,
        description="Seconds an idle connection stays open. Above nginx's 60: the side that sends has to close first.",
    )
    tool_call_parser: str | None = Field(
        default="llama3_json", description="How tool calls are recognised in the model's text. Left empty: no tools."
    )


class Profile(Section):
    """A whole profile. `name` is the file's name without .toml, and not a key of the file."""

    name: str = Field(description="The profile's name.")
    description: str = Field(min_length=1, description="One line for `python -m inference profiles`.")
    device: Literal["cpu", "cuda"] = Field(description="What the engine computes on.")
    model: Model
    parallelism: Parallelism = Parallelism()
    limits: Limits
    memory: Memory
    cpu: Cpu | None = Field(default=None, description="Required on CPU, refused elsewhere.")
    engine: Engine
    environment: dict[str, str] = Field(
        default_factory=dict,
        description="Further environment variables of the engine, fixed by the profile. No secrets.",
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Refuse settings that are fine alone and wrong together."""
        tensor_parallel, heads = self.parallelism.tensor_parallel_size, self.model.attention_heads
        if heads % tensor_parallel:
            raise ValueError(
                f"tensor_parallel_size {tensor_parallel} does not divide the model's {heads} attention heads"
            )
        if self.limits.max_queued_requests < self.limits.max_concurrent_requests:
            raise ValueError(
                "limits.max_queued_requests counts running requests too: it cannot be below max_concurrent_requests"
            )
        if self.engine.sse_keep_alive_s >= self.limits.request_timeout_s:
            raise ValueError(
                "engine.sse_keep_alive_s has to be below limits.request_timeout_s, or nginx cuts a stream that waits"
            )
        on_cpu, memory = self.device == "cpu", self.memory
        if on_cpu and (memory.kv_cache_mib is None or self.cpu is None):
            # Without a size vLLM takes nearly all the memory of the machine, and so does the next replica.
            raise ValueError("a profile for cpu needs memory.kv_cache_mib and a [cpu] table")
        if not on_cpu and (memory.gpu_memory_utilization is None or self.cpu is not None):
            raise ValueError("a profile for cuda needs memory.gpu_memory_utilization and no [cpu] table")
        if memory.kv_cache_mib is not None and memory.gpu_memory_utilization is not None:
            raise ValueError("memory.kv_cache_mib and memory.gpu_memory_utilization exclude each other")
        return self


def profile_names(directory: Path = PROFILES_DIR) -> list[str]:
    """Names of the profiles in a folder, in order."""
    return sorted(path.stem for path in directory.glob("*.toml"))


def load_profile(name: str, directory: Path = PROFILES_DIR) -> Profile:
    """Read and check a profile, given its name or the path of a TOML file.

    Anything with a slash or the ending .toml is a path. Raises ProfileNotFound or ProfileInvalid.
    """
    is_path = "/" in name or name.endswith(".toml")
    path = Path(name) if is_path else directory / f"{name}.toml"
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if is_path:
            raise ProfileNotFound(f"there is no profile file {name}") from None
        known = profile_names(directory)
        raise ProfileNotFound(
            f"there is no profile {name!r}{_closest(name, known)}; there are: {', '.join(known)}"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ProfileInvalid(f"{path}: cannot be read as TOML: {exc}") from exc
    if "name" in data:
        raise ProfileInvalid(f"{path}: name: not a key of the file; a profile is called what its file is called")
    try:
        return Profile.model_validate(data | {"name": path.stem}, context={"folder": path.absolute().parent})
    except ValidationError as exc:
        raise ProfileInvalid("\n".join(_complaints(path, exc))) from exc


def _complaints(path: Path, exc: ValidationError) -> list[str]:
    """One line for each thing wrong: file, path of the key, what is the matter."""
    lines = []
    for error in exc.errors(include_url=False):
        where = [str(part) for part in error["loc"]]
        if error["type"] == "extra_forbidden":
            what = "unknown key" + _closest(where[-1], _known_keys(where[:-1]))
        elif error["type"] == "missing":
            what = "missing"
        else:
            what = error["msg"].removeprefix("Value error, ")
        lines.append(f"{path}: {'.'.join(where)}: {what}" if where else f"{path}: {what}")
    return lines


def _known_keys(table: list[str]) -> list[str]:
    """The keys that a table of a profile may have."""
    section: type[BaseModel] = Profile
    for part in table:
        annotation = section.model_fields[part].annotation
        section = next(kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type))
    return sorted(section.model_fields)


def _closest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
