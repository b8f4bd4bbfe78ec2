import io
from pathlib import Path

from rich.console import Console

from infra.local.processes import Identity
from infra.local.progress import Progress
from infra.local.settings import StackSettings
from infra.local.state import Phase, ServiceStatus, StackStatus, Stage

HERE = Path("/")


def status(*stages: Stage) -> StackStatus:
    services = [
        ServiceStatus(
            name=f"replica-{i}",
            stage=stage,
            url="http://127.0.0.1:8091",
            process=Identity(pid=1, started=0),
            ready_after_s=31.25 if stage is Stage.READY else None,
        )
        for i, stage in enumerate(stages)
    ]
    settings = StackSettings(root=HERE, state_dir=HERE, engine_python=HERE)
    supervisor = Identity(pid=1, started=0)
    return StackStatus(settings=settings, phase=Phase.STARTING, supervisor=supervisor, services=tuple(services))


def test_outside_a_terminal_each_change_is_one_line() -> None:
    console = Console(file=io.StringIO())
    with Progress(console) as progress:
        for stages in [(Stage.LOADING, Stage.LOADING), (Stage.READY, Stage.LOADING), (Stage.READY, Stage.LOADING)]:
            progress.show(status(*stages))
    assert console.file.getvalue().splitlines() == [
        "replica-0    loading",
        "replica-1    loading",
        "replica-0    ready after 31.2 s",
    ]


def test_on_a_terminal_a_table_is_kept_up_to_date() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with Progress(console) as progress:
        progress.show(status(Stage.LOADING))
        progress.show(status(Stage.READY))
    shown = console.file.getvalue()
    assert "ready after 31.2 s" in shown
    assert "http://127.0.0.1:8091" in shown
