"""Showing the stack start: a live table on a terminal, one line for each step elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from infra.local.state import ServiceStatus, StackStatus, Stage

STYLES = {Stage.LOADING: "yellow", Stage.READY: "green", Stage.RESTARTING: "yellow", Stage.DEAD: "red"}


class Progress:
    """Told the status as often as it is read; shows what changed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=False) if console.is_terminal else None
        self._said: dict[str, Stage] = {}
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def show(self, status: StackStatus) -> None:
        if self._live:
            self._live.update(_table(status, self.elapsed_s()))
            return
        for service in status.services:
            if service.process and self._said.get(service.name) is not service.stage:
                self._said[service.name] = service.stage
                self._console.print(f"{service.name:<12} {_note(service, None)}", highlight=False)


def _table(status: StackStatus, elapsed_s: float) -> Table:
    table = Table.grid(padding=(0, 2))
    for service in status.services:
        note = f"[{STYLES[service.stage]}]{_note(service, elapsed_s)}[/]"
        table.add_row(service.name, note, f"[dim]{service.url}[/]")
    return table


def _note(service: ServiceStatus, elapsed_s: float | None) -> str:
    if service.stage is Stage.READY and service.ready_after_s is not None:
        return f"ready after {service.ready_after_s:.1f} s"
    if service.stage is Stage.LOADING:
        return "loading" if elapsed_s is None else f"loading {elapsed_s:3.0f} s"
    return str(service.stage)
