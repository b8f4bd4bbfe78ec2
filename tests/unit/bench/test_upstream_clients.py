from tests.bench.upstream_clients import leave_table, load_table


def _left(milliseconds: float, whole: bool = True) -> dict[str, object]:
    fine = {"turns": 0, "milliseconds": 0.5}
    worst = {"turns": 1, "milliseconds": milliseconds}
    return {"cancel": worst, "raise": fine, "before-headers": fine, "pool_is_whole": whole}


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


def test_leave_table_shows_the_worst_round() -> None:
    row = leave_table({"a": [_left(1.0), _left(900.0), _left(2.0, whole=False)]}).splitlines()[-1]
    assert [cell.strip() for cell in row.split("|")[1:-1]] == [
        "a",
        "NO (1; 900.0 ms)",
        "yes (0; 0.5 ms)",
        "yes (0; 0.5 ms)",
        "NO",
    ]


def test_leave_table_shows_a_connection_that_never_closed() -> None:
    assert "NO (1; inf ms)" in leave_table({"a": [_left(float("inf"))]})
