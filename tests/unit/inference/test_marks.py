import os
import stat
import sys
from pathlib import Path

import pytest

from inference.marks import MarksInvalid, NginxEdge, Server, parse_servers, render_servers, write_servers

THREE = ("replica-0:8000", "replica-1:8000", "[::1]:8093")
RELOAD = (sys.executable, "-c", "open('reloaded', 'a').write('x')")


@pytest.fixture
def edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NginxEdge:
    """A prefix whose nginx is reloaded by a command that leaves a trace."""
    monkeypatch.chdir(tmp_path)
    write_servers(tmp_path, THREE)
    return NginxEdge(tmp_path, RELOAD)


def servers(prefix: Path) -> list[str]:
    return [line for line in (prefix / "marks/balanced.conf").read_text().splitlines() if not line.startswith("#")]


def test_a_mark_is_the_word_down_and_goes_again(edge: NginxEdge) -> None:
    before = servers(edge.prefix)
    assert before == [f"server {address} max_fails=2 fail_timeout=10s;" for address in THREE]
    assert edge.mark(1) == "marked down on the balanced port; reloaded"
    assert servers(edge.prefix) == [before[0], before[1].replace(";", " down;"), before[2]]
    edge.unmark(1)
    assert servers(edge.prefix) == before
    assert Path("reloaded").read_text() == "xx"


def test_marking_twice_is_marking_once_and_reloads_again(edge: NginxEdge) -> None:
    edge.mark(0)
    once = servers(edge.prefix)
    edge.mark(0)
    assert servers(edge.prefix) == once
    assert Path("reloaded").read_text() == "xx"


def test_what_is_written_is_what_is_read() -> None:
    given = [Server("a:1"), Server("[::1]:2", is_down=True)]
    assert parse_servers(render_servers(given), "x") == given


def test_a_new_site_keeps_the_marks_of_addresses_that_stay(edge: NginxEdge) -> None:
    edge.mark(0)
    edge.mark(1)
    write_servers(edge.prefix, (THREE[1], "replica-7:8000"))
    assert parse_servers((edge.prefix / "marks/balanced.conf").read_text(), "x") == [
        Server(THREE[1], is_down=True),
        Server("replica-7:8000"),
    ]


def test_nginx_may_read_it_whatever_the_umask_is(tmp_path: Path) -> None:
    former = os.umask(0o077)
    try:
        write_servers(tmp_path, THREE)
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "marks/balanced.conf").stat().st_mode) == 0o644


@pytest.mark.parametrize("replica", [-1, 3])
def test_a_replica_that_is_not_there_is_refused(edge: NginxEdge, replica: int) -> None:
    with pytest.raises(MarksInvalid, match=f"has 3 replicas, counted from 0; there is no {replica}"):
        edge.mark(replica)
    assert not Path("reloaded").exists()


def test_a_line_that_is_not_ours_is_refused_and_nothing_is_changed(edge: NginxEdge) -> None:
    file = edge.prefix / "marks/balanced.conf"
    file.write_text("server a:1 weight=5;\n")
    with pytest.raises(MarksInvalid, match=r"balanced\.conf, line 1"):
        edge.mark(0)
    assert file.read_text() == "server a:1 weight=5;\n"


def test_a_folder_without_marks_is_no_prefix(tmp_path: Path) -> None:
    with pytest.raises(MarksInvalid, match=r"is .* the folder nginx was started in"):
        NginxEdge(tmp_path).mark(0)


@pytest.mark.parametrize("command", [("false",), ("/no/such/program",)])
def test_a_reload_that_fails_is_told(edge: NginxEdge, command: tuple[str, ...]) -> None:
    with pytest.raises(MarksInvalid, match="reload"):
        NginxEdge(edge.prefix, command).mark(0)


def test_without_a_running_nginx_the_mark_is_for_its_next_start(edge: NginxEdge) -> None:
    assert NginxEdge(edge.prefix).mark(2).endswith("nginx is not running, and reads it when it starts")
    assert servers(edge.prefix)[2].endswith(" down;")


def test_a_process_that_is_no_nginx_gets_no_signal(edge: NginxEdge) -> None:
    (edge.prefix / "runtime").mkdir()
    # SIGHUP would end this very process.
    (edge.prefix / "runtime/nginx.pid").write_text(f"{os.getpid()}\n")
    with pytest.raises(MarksInvalid, match="is no nginx"):
        NginxEdge(edge.prefix).mark(0)
