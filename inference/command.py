"""From a profile to the command line and environment of vLLM: decided here, executed elsewhere.

Pure: the same profile and placement always give the same `Command`, which `serve` executes and `command` prints.
The API key is no part of it. vLLM takes it from the environment variable VLLM_API_KEY, where `ps` does not show it.
Meaning of each argument: vLLM's own `--help=all` and the descriptions in `inference.profile`.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

from inference.errors import ProfileInvalid
from inference.profile import Profile

# Not the `vllm` command: that one fails where the distribution has another name, as the CPU build's has. This module
# is behind both, and is there in the official CUDA image and on CPU alike.
ENTRY_POINT = "vllm.entrypoints.launchers.api_server.entry"

KEY_VARIABLE = "VLLM_API_KEY"

# vLLM's executor for a single worker, by its import path. Asked for by its name, "uni", the CPU platform puts the
# worker into a process of its own after all, to set thread variables there; ours are set for the whole replica.
_WORKER_IN_ENGINE_CORE = "vllm.v1.executor.uniproc_executor.UniProcExecutor"

# Opens unauthenticated endpoints that run code in the workers; no profile may set it.
_FORBIDDEN = {KEY_VARIABLE: "the key is a secret", "VLLM_SERVER_DEV_MODE": "it opens endpoints that run code"}

_COMPACT_JSON = '{"backend":"xgrammar","disable_any_whitespace":true}'

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Placement:
    """Where one replica runs: what differs between replicas and hosts, and is therefore not in the profile."""

    interpreter: str
    """Path of the Python that has vLLM."""
    host: str
    port: int
    model_dir: Path | None = None
    """Folder of the weights instead of the profile's."""


@dataclass(frozen=True)
class Command:
    """A program with its arguments, and the environment it gets on top of the one it is started in."""

    argv: tuple[str, ...]
    environment: dict[str, str]


def build_command(profile: Profile, placement: Placement) -> Command:
    """The command that serves a profile at a place. ProfileInvalid: its environment is not allowed."""
    options = _model(profile, placement) + _capacity(profile) + _server(profile, placement)
    argv = [placement.interpreter, "-m", ENTRY_POINT]
    for name, value in options:
        argv += [name] if value is None else [name, str(value)]
    return Command(tuple(argv), _environment(profile))


def model_folder(profile: Profile, placement: Placement) -> Path:
    """The folder with the weights, made absolute: the command means the same from every working directory."""
    return (placement.model_dir or profile.model.path).absolute()


def render(command: Command) -> str:
    """The command as text for a POSIX shell: environment first, one option a line, ready to be pasted.

    The key appears as a reference to the variable of the shell it is pasted into, never as its value.
    """
    words = [f'{KEY_VARIABLE}="${KEY_VARIABLE}"']
    words += [f"{name}={shlex.quote(value)}" for name, value in command.environment.items()]
    program, options = command.argv[:3], command.argv[3:]
    words.append(shlex.join(program))
    for word in options:
        if word.startswith("--"):
            words.append(word)
        else:
            words[-1] += " " + shlex.quote(word)
    return " \\\n  ".join(words)


Options = list[tuple[str, object]]
"""Names of options with their values; None stands for a bare flag."""


def _model(profile: Profile, placement: Placement) -> Options:
    model, engine = profile.model, profile.engine
    options: Options = [
        ("--model", model_folder(profile, placement)),
        ("--served-model-name", model.served_name),
        ("--load-format", engine.load_format),
        ("--dtype", engine.dtype),
        ("--kv-cache-dtype", engine.kv_cache_dtype),
        ("--tensor-parallel-size", profile.parallelism.tensor_parallel_size),
    ]
    if profile.device == "cpu" and profile.parallelism.tensor_parallel_size == 1:
        # As on one GPU, where it is vLLM's own choice. One process less to import torch in: a third less CPU time and
        # 400 MiB less memory for each replica that starts.
        options.append(("--distributed-executor-backend", _WORKER_IN_ENGINE_CORE))
    if engine.quantization is not None:
        options.append(("--quantization", engine.quantization))
    if engine.enforce_eager:
        options.append(("--enforce-eager", None))
    if model.chat_template is not None:
        options.append(("--chat-template", model.chat_template))
    options.append(("--chat-template-content-format", model.chat_template_content_format))
    if engine.tool_call_parser is not None:
        options += [("--enable-auto-tool-choice", None), ("--tool-call-parser", engine.tool_call_parser)]
        # A model that reads of tools writes a call, also where the request says "none": as text, for all to see.
        options.append(("--exclude-tools-when-tool-choice-none", None))
    # JSON without blanks between its parts: a small model would fill them without end, a large one pays for each. The
    # switch wants the backend by name; it is the one that "auto" tries first.
    options.append(("--structured-outputs-config", _COMPACT_JSON))
    return options


def _capacity(profile: Profile) -> Options:
    limits, memory = profile.limits, profile.memory
    options: Options = [
        ("--max-model-len", limits.max_model_len),
        ("--max-num-seqs", limits.max_concurrent_requests),
        ("--max-num-queued-reqs", limits.max_queued_requests),
        ("--max-num-batched-tokens", limits.max_num_batched_tokens),
        ("--scheduling-policy", profile.engine.scheduling_policy),
        # One token a chunk. Larger steps save little here, and a tool call that fits into one chunk is lost
        # (vLLM issue 48294).
        ("--stream-interval", 1),
    ]
    if memory.gpu_memory_utilization is not None:
        options.append(("--gpu-memory-utilization", memory.gpu_memory_utilization))
    if memory.kv_cache_mib is not None:
        # Not VLLM_CPU_KVCACHE_SPACE: its smallest step is a GiB.
        options.append(("--kv-cache-memory-bytes", memory.kv_cache_mib * _MIB))
    return options


def _server(profile: Profile, placement: Placement) -> Options:
    engine = profile.engine
    return [
        ("--host", placement.host),
        ("--port", placement.port),
        ("--shutdown-timeout", engine.shutdown_timeout_s),
        ("--sse-keep-alive-interval", engine.sse_keep_alive_s),
        # Clients and the gateway see how much of a prompt was cached, and which request they talk about.
        ("--enable-prompt-tokens-details", None),
        ("--enable-request-id-headers", None),
        # Equal on all replicas of a profile, so that a replica with other settings shows.
        ("--fingerprint-mode", "hash"),
        # Probes and scrapes come every few seconds; the requests are what the log is for.
        ("--disable-access-log-for-endpoints", "/health,/metrics,/ping"),
        ("--disable-fastapi-docs", None),
    ]


def _environment(profile: Profile) -> dict[str, str]:
    fixed = {
        # No outside call: neither usage reports nor a look at the hub for a newer file.
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": str(profile.engine.http_keep_alive_s),
        "VLLM_MAX_N_SEQUENCES": str(profile.limits.max_answers_per_request),
    }
    if profile.cpu is not None:
        # vLLM's automatic binding pins every replica of a machine to the same cores.
        fixed |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(profile.cpu.threads)}
    if profile.cpu is not None and profile.engine.enforce_eager:
        # Eager mode leaves the sampler's own compilation on: the first request for logprobs would wait 20 s for a C++
        # compiler, on a machine that has one.
        fixed["TORCHDYNAMO_DISABLE"] = "1"
    for name in profile.environment:
        if name in fixed or name in _FORBIDDEN:
            why = _FORBIDDEN.get(name, "a setting of the profile decides it")
            raise ProfileInvalid(f"profile {profile.name}: environment.{name}: not allowed here, {why}")
    return fixed | profile.environment
