import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.logs import keep_former, last_lines, show
from tests.unit.infra.local.supervised import ROOT
from tests.unit.infra.local.waiting import until


def test_last_lines_of_a_long_log_and_of_none(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("".join(f"line {i}\n" for i in range(20_000)))
    assert last_lines(log, 2) == ["line 19998", "line 19999"]
    assert last_lines(tmp_path / "none.log", 2) == []


def test_several_logs_are_told_apart_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "nginx.log").write_text("one\n")
    (tmp_path / "gateway.log").write_text("two\nthree\n")
    show([tmp_path / "gateway.log", tmp_path / "nginx.log"], 1, follow=False)
    assert capsys.readouterr().out == "gateway      | three\nnginx        | one\n"


def test_following_prints_what_is_added_and_survives_a_new_file(tmp_path: Path) -> None:
    log, seen = tmp_path / "nginx.log", tmp_path / "seen"
    log.write_text("old\n")
    program = f"from pathlib import Path; from infra.local.logs import show; show([Path({str(log)!r})], 5, follow=True)"
    with (
        seen.open("wb") as output,
        subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=output) as process,
    ):
        until(lambda: seen.read_text() == "old\n", "the last line")
        with log.open("a") as more:
            more.write("added\nhalf a li")
        until(lambda: seen.read_text() == "old\nadded\n", "the added line, whole lines only")
        keep_former(log)
        log.write_text("new\n")
        until(lambda: seen.read_text().endswith("new\n"), "the new file")
        process.kill()


def test_new_log_keeps_the_one_before(tmp_path: Path) -> None:
    log = tmp_path / "nginx.log"
    log.write_text("before\n")
    keep_former(log)
    assert not log.exists()
    assert (tmp_path / "nginx.log.1").read_text() == "before\n"
    keep_former(log)
