"""`status`: each process, whether it answers, what it takes."""

from datetime import UTC, datetime

import psutil
from rich.console import Console
from rich.table import Table

from infra.local.plan import Service, plan
from infra.local.processes import members
from infra.local.running import is_ready
from infra.local.state import Phase, ServiceStatus, StackStatus, StateDir

MIB = 1024**2


def status(state: StateDir, console: Console) -> int:
    """Print the table. Exit code 0 only when the stack is up and everything in it answers."""
    last = state.read_status()
    if not last or not last.supervisor.is_alive():
        ending = " An earlier one is being ended." if state.is_held() else ""
        failed = ""
        if last and last.phase is Phase.FAILED:
            failed = f" The last start failed: {last.message.splitlines()[0]}"
        console.print(f"Scout is not up.{ending}{failed}", highlight=False, markup=False)
        return 1
    answers, total = _show(last, console)
    console.print(f"\nScout is {last.phase}: {total / MIB / 1024:.1f} GiB in all.", highlight=False)
    return 0 if last.phase is Phase.READY and answers else 1


def _show(last: StackStatus, console: Console) -> tuple[bool, int]:
    by_name = {service.name: service for service in plan(last.settings)}
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("process", "pid", "stage", "answers", "up for", "memory", "restarts", "url"):
        table.add_column(column, justify="right" if column in ("pid", "up for", "memory", "restarts") else "left")
    all_answer, total = True, 0
    for service in last.services:
        answers = _answers(by_name.get(service.name))
        memory = _memory(service)
        all_answer, total = all_answer and answers, total + memory
        table.add_row(*_row(service, answers, memory))
    console.print(table)
    return all_answer, total


def _row(service: ServiceStatus, answers: bool, memory: int) -> list[str]:
    pid = str(service.process.pid) if service.process else "-"
    shown = f"{memory / MIB:.0f} MiB" if memory else "-"
    said = "yes" if answers else "no"
    return [service.name, pid, service.stage, said, _uptime(service), shown, str(service.restarts), service.url]


def _answers(service: Service | None) -> bool:
    return service is not None and is_ready(service)


def _uptime(service: ServiceStatus) -> str:
    if not service.process or not service.process.is_alive():
        return "-"
    began = datetime.fromtimestamp(psutil.Process(service.process.pid).create_time(), UTC)
    return str(datetime.now(UTC) - began).split(".", 1)[0]


def _memory(service: ServiceStatus) -> int:
    """Proportional set size of the whole session, in bytes: pages shared between replicas are counted once."""
    total = 0
    for process in members([service.process]) if service.process else []:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total
