import math

from tests.bench.upstream_clients import leave_table, load_table


def _left(turns: float, milliseconds: float = 1.0, whole: bool = True) -> dict[str, object]:
    fine = {"turns": 0, "milliseconds": 0.5}
    cancel = {"turns": turns, "milliseconds": milliseconds}
    return {"cancel": cancel, "raise": fine, "before-headers": fine, "pool_is_whole": whole}


def test_load_table_compares_each_client_with_aiohttp() -> None:
    results: dict[str, list[dict[str, object]]] = {
        "aiohttp": [{"cpu_us_per_chunk": 10.0, "n": 1}, {"cpu_us_per_chunk": 20.0, "n": 1}],
        "httpx": [{"cpu_us_per_chunk": 30.0, "n": 2}, {"cpu_us_per_chunk": 60.0, "n": 4}],
    }
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in load_table(results, {"n": ("N", 0)}).splitlines()
    ]
    assert rows[0] == ["client", "CPU us/chunk", "x aiohttp", "N"]
    assert rows[3] == ["httpx", "45.0 (30.0-60.0)", "3.00", "3 (2-4)"]


def _last_row(text: str) -> list[str]:
    return [cell.strip() for cell in text.splitlines()[-1].split("|")[1:-1]]


def test_leave_table_judges_by_the_most_turns_of_all_rounds() -> None:
    table = leave_table({"a": [_left(1), _left(2), _left(1, whole=False)]})
    assert _last_row(table) == ["a", "NO (2; 1.0)", "yes (0; 0.5)", "yes (0; 0.5)", "NO"]


def test_leave_table_does_not_take_a_slow_round_for_a_late_close() -> None:
    assert _last_row(leave_table({"a": [_left(1), _left(1, 197.6), _left(1)]}))[1] == "yes (1; 1.0)"


def test_leave_table_shows_a_connection_that_never_closed() -> None:
    assert _last_row(leave_table({"a": [_left(math.inf, math.inf)]}))[1] == "NO (inf; inf)"
