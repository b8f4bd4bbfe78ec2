"""The `verify-egress` command: the sentence an auditor looks for, and an exit code that can be trusted."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.stores.database import Database
from gateway.stores.egress import EgressLedger

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/gateway.db"


async def fill(url: str, *labels: str) -> None:
    with closing(Database(url)) as database:
        ledger = EgressLedger(database, lambda: 1.0)
        await ledger.mark_sensitive("c1", "a")
        for label in labels:
            await ledger.append(tenant="a", conversation="c1", label=label, request_id="r", model="m", body=b"x")


def verify(url: str, capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, list[str]]:
    code = main(["verify-egress", *argv], {"SCOUT_DATABASE_URL": url})
    return code, capsys.readouterr().out.splitlines()


def test_an_empty_ledger_says_so(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, (ledger, sentence) = verify(url, capsys)
    assert (code, sentence) == (0, "0 of 0 sensitive conversations left")
    assert ledger.startswith("egress ledger: 0 entries, chain unbroken")


async def test_nothing_sensitive_that_left_is_a_good_end(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    await fill(url, "redacted")
    assert verify(url, capsys)[0] == 0
    code, lines = verify(url, capsys, "--jsonl")
    assert (code, json.loads(lines[0])["label"], lines[-1]) == (0, "redacted", "0 of 1 sensitive conversations left")


async def test_something_sensitive_that_left_is_not(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    await fill(url, "redacted", "clear")
    code, lines = verify(url, capsys)
    assert (code, lines[-1]) == (1, "1 of 1 sensitive conversations left")
    assert lines[1] == "entry 2 is of a sensitive conversation, not redacted"


async def test_a_noted_head_that_is_gone_is_told(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    await fill(url, "redacted")
    code, lines = verify(url, capsys, "--head", "f" * 64)
    assert code == 1
    assert "BROKEN" in lines[0] and "noted" in lines[0]


def test_a_ledger_that_cannot_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gateway.db").write_bytes(b"no database " * 100)
    assert verify(f"sqlite:///{tmp_path}/gateway.db", capsys)[0] == 2
