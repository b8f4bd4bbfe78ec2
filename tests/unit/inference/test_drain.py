"""The order of a drain's steps, before a gateway and an engine on real ports; nginx is a folder."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from inference.drain import DrainRefused, Order, StopFailed, drain, stop_by_command, stop_by_pid_file, undo
from inference.marks import MarksInvalid, NginxEdge, write_servers
from inference.peers import Engine, Gateway, GatewayRefused, GatewayUnreachable
from tests.unit.inference.admin_double import ADMIN_KEY, AdminDouble, serving


@dataclass
class Bench:
    """A site with one gateway, and a clock that only pauses move."""

    double: AdminDouble
    prefix: Path
    now: float = 0.0
    said: list[str] = field(default_factory=list)
    stopped_at: float | None = None
    marked_when_stopped: bool = False

    @property
    def order(self) -> Order:
        return Order(
            1,
            gateways=(Gateway(self.double.url, ADMIN_KEY),),
            nginx=NginxEdge(self.prefix, ("true",)),
            engine=Engine(self.double.url, "sk-nginx"),
            deadline_s=20,
            settle_s=3,
            poll_s=1,
        )

    def drain(self, order: Order | None = None) -> int:
        return drain(order or self.order, self.stop, self.said.append, lambda: self.now, self.pause)

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def stop(self) -> str:
        self.stopped_at = self.now
        self.marked_when_stopped = self.is_marked_at_gateway and self.is_marked_at_nginx
        return "stopped"

    @property
    def is_marked_at_gateway(self) -> bool:
        return self.double.draining == {"replica-1"}

    @property
    def is_marked_at_nginx(self) -> bool:
        return (self.prefix / "marks/balanced.conf").read_text().count(" down;") == 1

    @property
    def nothing_happened(self) -> bool:
        return self.stopped_at is None and not self.double.draining and not self.is_marked_at_nginx


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    write_servers(tmp_path, ("replica-0:8000", "replica-1:8000"))
    with serving(AdminDouble()) as double:
        yield Bench(double, tmp_path)


def test_an_idle_replica_is_marked_settled_and_stopped_in_this_order(bench: Bench) -> None:
    assert bench.drain() == 0
    assert (bench.stopped_at, bench.marked_when_stopped) == (3, True)
    assert bench.said[-2:] == ["replica-1 is drained after 3.0 s", "stopped"]


def test_the_marks_outlive_the_stop(bench: Bench) -> None:
    bench.drain()
    assert bench.is_marked_at_gateway and bench.is_marked_at_nginx


def test_what_is_in_flight_at_the_gateway_is_waited_for(bench: Bench) -> None:
    bench.double.in_flight = [2, 2, 2, 1, 0]
    assert bench.drain() == 0
    assert bench.stopped_at == 6


def test_what_came_past_the_gateway_is_waited_for_too(bench: Bench) -> None:
    bench.double.running, bench.double.waiting = [1, 1, 0], [1, 0, 0]
    assert bench.drain() == 0
    assert bench.stopped_at == 5


def test_at_the_deadline_it_is_stopped_and_what_is_left_is_told(bench: Bench) -> None:
    bench.double.in_flight = [4]
    assert bench.drain() == 4
    assert bench.stopped_at == 20
    assert "replica-1: 4 in flight at the deadline of 20 s; gateways resume theirs" in bench.said


def test_metrics_that_cannot_be_read_are_told_and_the_gateways_count_decides(bench: Bench) -> None:
    bench.double.metrics_status = 502
    bench.double.in_flight = [1, 1, 0]
    assert bench.drain() == 0
    assert bench.stopped_at == 4
    assert "replica-1: in flight: 1 by the gateways' count, unknown by the engine's" in bench.said


def test_a_gateway_that_was_restarted_meanwhile_is_marked_again(bench: Bench) -> None:
    def forget(seconds: float) -> None:
        bench.pause(seconds)
        bench.double.draining.clear()

    drain(bench.order, bench.stop, bench.said.append, lambda: bench.now, forget)
    assert bench.marked_when_stopped


def test_a_replica_that_has_become_the_last_one_is_not_stopped(bench: Bench) -> None:
    def lose_the_other(seconds: float) -> None:
        bench.pause(seconds)
        bench.double.states["replica-0"] = "failed"

    with pytest.raises(DrainRefused, match="has lost its other replicas meanwhile: replica-1 is needed"):
        drain(bench.order, bench.stop, bench.said.append, lambda: bench.now, lose_the_other)
    assert bench.nothing_happened


def test_a_gateway_that_does_not_answer_ends_it_before_anything_is_marked(bench: Bench) -> None:
    order = replace(bench.order, gateways=(*bench.order.gateways, Gateway("http://127.0.0.1:1", ADMIN_KEY)))
    with pytest.raises(GatewayUnreachable):
        bench.drain(order)
    assert bench.nothing_happened
    assert bench.double.asked == ["GET /admin/replicas"]


def test_by_force_it_goes_on_without_a_gateway_that_does_not_answer(bench: Bench) -> None:
    order = replace(bench.order, gateways=(*bench.order.gateways, Gateway("http://127.0.0.1:1", ADMIN_KEY)), force=True)
    assert bench.drain(order) == 0
    assert bench.marked_when_stopped


def test_a_gateway_that_fails_to_mark_ends_it_with_no_mark_left(bench: Bench) -> None:
    bench.double.broken = {"PUT"}
    with pytest.raises(GatewayRefused, match=r"Broken\."):
        bench.drain()
    assert bench.nothing_happened


def test_an_nginx_that_cannot_be_reloaded_ends_it_with_no_mark_left_at_the_gateway(bench: Bench) -> None:
    with pytest.raises(MarksInvalid):
        bench.drain(replace(bench.order, nginx=NginxEdge(bench.prefix, ("false",))))
    assert bench.nothing_happened


@pytest.mark.parametrize("state", ["draining", "failed"])
def test_the_last_replica_that_serves_is_not_drained(bench: Bench, state: str) -> None:
    bench.double.states["replica-0"] = state
    with pytest.raises(DrainRefused, match="no other replica that serves"):
        bench.drain()
    assert bench.nothing_happened
    assert bench.drain(replace(bench.order, force=True)) == 0


def test_a_busy_replica_may_take_over(bench: Bench) -> None:
    bench.double.states["replica-0"] = "overloaded"
    assert bench.drain() == 0


def test_a_replica_that_the_gateway_does_not_know_is_refused_with_those_it_knows(bench: Bench) -> None:
    with pytest.raises(DrainRefused, match="has no replica-5, only replica-0, replica-1"):
        bench.drain(replace(bench.order, replica=5))
    assert bench.nothing_happened


def test_an_interrupt_while_waiting_takes_the_marks_away(bench: Bench) -> None:
    def interrupt(_seconds: float) -> None:
        assert bench.is_marked_at_gateway and bench.is_marked_at_nginx
        raise KeyboardInterrupt

    bench.double.in_flight = [1]
    with pytest.raises(KeyboardInterrupt):
        drain(bench.order, bench.stop, bench.said.append, lambda: bench.now, interrupt)
    assert bench.nothing_happened


def test_an_interrupt_of_the_stop_leaves_the_marks(bench: Bench) -> None:
    def interrupted() -> str:
        raise KeyboardInterrupt

    with pytest.raises(StopFailed, match="interrupted"):
        drain(bench.order, interrupted, bench.said.append, lambda: bench.now, bench.pause)
    assert bench.is_marked_at_gateway and bench.is_marked_at_nginx


def test_undo_goes_on_where_one_mark_cannot_be_taken_away(bench: Bench) -> None:
    bench.drain()
    bench.double.broken = {"DELETE"}
    assert undo(bench.order, bench.said.append) is False
    assert bench.is_marked_at_gateway and not bench.is_marked_at_nginx
    bench.double.broken = set()
    assert undo(bench.order, bench.said.append) is True
    assert not bench.is_marked_at_gateway


def test_a_site_of_nginx_alone_is_drained_by_the_engines_count(bench: Bench) -> None:
    bench.double.running = [1, 0]
    assert bench.drain(replace(bench.order, gateways=())) == 0
    assert bench.stopped_at == 4
    assert {question.split()[1] for question in bench.double.asked} == {"/metrics"}


def test_the_process_of_a_pid_file_gets_sigterm(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (tmp_path / "pid").write_text(f"{process.pid}\n")
    assert stop_by_pid_file(tmp_path / "pid") == f"SIGTERM sent to process {process.pid}"
    assert process.wait(10) == -15
    with pytest.raises(StopFailed):
        stop_by_pid_file(tmp_path / "pid")


@pytest.mark.parametrize("text", [None, "", "none"])
def test_a_pid_file_without_a_pid_stops_nothing(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "pid").write_text(text)
    with pytest.raises(StopFailed, match="cannot stop the process of"):
        stop_by_pid_file(tmp_path / "pid")


def test_a_command_stops_it_or_says_why_not() -> None:
    assert stop_by_command(("true", "a b")) == "done: true 'a b'"
    with pytest.raises(StopFailed, match="false ended with exit code 1"):
        stop_by_command(("false",))
    with pytest.raises(StopFailed, match="cannot run /no/such"):
        stop_by_command(("/no/such",))
