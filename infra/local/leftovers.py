"""Processes of a stack whose supervisor and guard were both killed: found by what the state directory remembers."""

from rich.console import Console

from infra.local.complaint import complain
from infra.local.processes import end, members
from infra.local.state import StateDir

GRACE_S = 5.0


def end_leftovers(state: StateDir, console: Console) -> bool:
    """End them and remove their files. To be called when nobody holds the state directory. Returns whether any were."""
    status = state.read_status()
    leaders = [service.process for service in status.services if service.process] if status else []
    found = members(leaders, marker=str(state.path))
    if found:
        console.print(f"Ending {len(found)} processes that an earlier stack left behind.")
        for process in end(leaders, GRACE_S, marker=str(state.path)):
            complain(f"could not end process {process.pid}")
    if state.path.exists():
        state.clear()
    return bool(found)
