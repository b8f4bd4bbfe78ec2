"""The `report` command on a real database."""

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.stores.database import Database
from gateway.stores.usage import UsageStore
from gateway.usage import Usage

pytestmark = pytest.mark.anyio


async def test_a_month_is_reported_from_the_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"
    at = datetime(2026, 10, 5, tzinfo=UTC).timestamp()
    with closing(Database(url)) as database:
        row = Usage(at, "a", "r", "chat", "x", "on-prem", None, "ok", 1_000_000, 0, 0, 0, False, 0.1)
        await UsageStore(database).record(row)
    environ = {"SCOUT_DATABASE_URL": url}
    assert main(["report", "--month", "2026-10", "--json"], environ) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["requests"], told["counterfactual_micros"]) == (1, 2_000_000)  # 1 M tokens at gpt-4.1's $2
    assert main(["report", "--month", "2026-10"], environ) == 0
    assert "share on-prem" in capsys.readouterr().out


def test_this_month_is_reported_before_anything_has_happened(tmp_path: Path) -> None:
    assert main(["report"], {"SCOUT_DATABASE_URL": f"sqlite:///{tmp_path}/new/gateway.db"}) == 0


@pytest.mark.parametrize("month", ["2026-13", "soon"])
def test_a_month_that_is_none_is_told(tmp_path: Path, month: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--month", month], {"SCOUT_DATABASE_URL": f"sqlite:///{tmp_path}/gateway.db"}) == 2
    assert month in capsys.readouterr().err
