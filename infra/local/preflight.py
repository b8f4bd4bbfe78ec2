"""Everything that can be known before a process is started, each problem one sentence that says what to do.

Changes nothing.
"""

import contextlib
import errno
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil

from inference.errors import InferenceError
from inference.profile import load_profile
from infra.local.settings import HOST, StackSettings

# Measured with the default profile (PSS of each session), three at a time: 1.05 GiB for a replica that is up, 1.1 GiB
# once the contract suite had used it; gateway and nginx together 0.06 GiB. A tensor-parallel replica takes 1.9 GiB.
REPLICA_GIB = 1.2
REST_GIB = 0.2
GIB = 1024**3

MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json")


def problems(settings: StackSettings) -> list[str]:
    """What stands in the way of this stack; empty when nothing does."""
    found = [*_programs(settings), *_model(settings), *_ports(settings)]
    if not settings.skip_memory_check:
        found += memory_problem(settings.replicas, available_bytes())
    return found


def _programs(settings: StackSettings) -> Iterator[str]:
    if not shutil.which("nginx"):
        yield "nginx is missing: install it (Debian, Ubuntu: sudo apt-get install nginx)"
    if not settings.engine_python.exists():
        yield f"the engine's environment is missing, there is no {settings.engine_python}: ./scout up makes it"


def _model(settings: StackSettings) -> Iterator[str]:
    try:
        folder = settings.model_dir or load_profile(settings.profile).model.path
    except InferenceError as error:
        yield str(error)
        return
    missing = [name for name in MODEL_FILES if not (folder / name).exists()]
    if missing:
        yield f"the model is not whole, {folder} lacks {', '.join(missing)}: restore it with git checkout -- {folder}"


def _ports(settings: StackSettings) -> Iterator[str]:
    for port, (name, variable) in settings.ports().items():
        if is_taken(port):
            yield (
                f"port {port}, meant for {name}, is taken by {owner_of(port)}: "
                f"stop it, or choose another with {variable}=..."
            )


def is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # Connections that are timing out are no obstacle, as they are none to the servers themselves.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EACCES:
                return False
            return True
    return False


def owner_of(port: int) -> str:
    """The listener's name and pid, as far as this user may know them."""
    for connection in psutil.net_connections(kind="tcp"):
        if connection.status != psutil.CONN_LISTEN or not connection.laddr or connection.pid is None:
            continue
        if connection.laddr.port == port:
            with contextlib.suppress(psutil.NoSuchProcess):
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another process"


def memory_problem(replicas: int, available: int) -> list[str]:
    """Whether `available` bytes are enough for so many replicas."""
    needed_gib = replicas * REPLICA_GIB + REST_GIB
    if available >= needed_gib * GIB:
        return []
    fitting = max(0, int((available / GIB - REST_GIB) / REPLICA_GIB))
    fewer = f"take fewer replicas (--replicas {fitting}), " if fitting else ""
    return [
        f"too little memory: {replicas} replicas need about {needed_gib:.1f} GiB, {available / GIB:.1f} GiB are "
        f"available: {fewer}end something else, or try all the same with SCOUT_SKIP_MEMORY_CHECK=1"
    ]


def available_bytes(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """What the machine can still give, or the container where that is less."""
    available = int(psutil.virtual_memory().available)
    try:
        limit, used = ((cgroup / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return available
    return available if limit == "max" else min(available, int(limit) - int(used))
