"""A real supervisor with small services, to be killed in tests.

    python -m tests.unit.infra.local.supervised STATE_DIR KIND...

`serves` answers HTTP and has a child; `stubborn` does too, and both of them ignore SIGTERM; `loads` never answers;
`dies` says why and ends; `once` serves, and never answers when it is started again. Each service gets a free port of
its own, and is called after its kind and place unless it is given as NAME=KIND.
"""

import sys
from pathlib import Path

from infra.checks.stack import free_ports
from infra.local.keys import ensure_keys
from infra.local.plan import MARKER, Service
from infra.local.settings import StackSettings
from infra.local.state import StateDir
from infra.local.supervisor import supervise

ROOT = Path(__file__).resolve().parents[4]

CHILD = "import time; time.sleep(600)"
SERVES = f"""
import http.server, subprocess, sys
subprocess.Popen([sys.executable, "-c", {CHILD!r}])
http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind="127.0.0.1")
"""
# An ignored signal stays ignored in what is started.
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{SERVES}"
# A service has a log of its own, which its second process finds written to.
ONCE = f"""
import os, sys, time
if os.fstat(1).st_size:
    print("the second start hangs", flush=True)
    time.sleep(600)
print("the first start", flush=True)
{SERVES}"""
KINDS = {
    "serves": SERVES,
    "stubborn": STUBBORN,
    "once": ONCE,
    "loads": "import time; time.sleep(600)",
    "dies": "print('the model file is broken', flush=True); raise SystemExit(7)",
}


def services(state: StateDir, kinds: list[str]) -> list[Service]:
    named = [kind.partition("=") if "=" in kind else (f"{kind}-{i}", "", kind) for i, kind in enumerate(kinds)]
    return [_service(state, name, KINDS[kind]) for name, _, kind in named]


def _service(state: StateDir, name: str, program: str) -> Service:
    (port,) = free_ports(1)
    return Service(
        name=name,
        argv=(sys.executable, "-c", program, str(port)),
        env={MARKER: str(state.path)},
        url=f"http://127.0.0.1:{port}",
        ready_url=f"http://127.0.0.1:{port}/",
        ready_key=state.keys.onprem,
    )


def main(path: Path, kinds: list[str]) -> int:
    state = StateDir(path)
    state.prepare()
    ensure_keys(state.keys)
    settings = StackSettings(root=ROOT, state_dir=path, engine_python=Path(sys.executable), replicas=1)
    return supervise(settings, services(state, kinds), state)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
