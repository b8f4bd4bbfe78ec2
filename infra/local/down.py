"""`down`: end the stack, whoever started it and whatever state it is in."""

import os
import signal

from rich.console import Console

from infra.local.complaint import complain
from infra.local.leftovers import end_leftovers
from infra.local.state import StateDir

# The supervisor needs up to 8 s for its services and a few more for what must be killed.
ASK_WAIT_S = 25.0
GUARD_WAIT_S = 20.0


def down(state: StateDir, console: Console) -> int:
    """Returns the exit code: 0 when nothing is left."""
    if not state.is_held():
        console.print("Nothing is left." if end_leftovers(state, console) else "Scout is not up.")
        return 0
    status = state.read_status()
    if status and status.supervisor.is_alive():
        os.kill(status.supervisor.pid, signal.SIGTERM)
        if not state.wait_until_free(ASK_WAIT_S) and status.supervisor.is_alive():
            console.print("The supervisor does not answer: killing it, its guard ends the rest.")
            os.kill(status.supervisor.pid, signal.SIGKILL)
    if not state.wait_until_free(GUARD_WAIT_S):
        complain(f"something still holds {state.path}: see its logs")
        return 1
    end_leftovers(state, console)
    console.print("Scout is down; nothing is left.")
    return 0
