"""The tables of the speed bench."""

import math

from tests.bench.speed_report import (
    Outcome,
    added,
    by_users,
    first_content_table,
    gateways_table,
    memory_table,
    quiet_table,
    report,
)
from tests.bench.speed_targets import Rounds


def _cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]


def _paced(p50: float, p99: float) -> dict[str, dict[str, float]]:
    return {"paced-10": {"first_p50_ms": p50, "first_p99_ms": p99, "core_used": 0.2, "core_waited": 0.1}}


def test_a_column_is_a_number_of_users_and_a_gateway_without_figures_has_no_row() -> None:
    results = {
        "direct": [{"json-1": {"n": math.nan}}],
        "ours": [{"json-1": {"n": 1.0}, "json-1000": {"n": 5000.0}}, {"json-1": {"n": 3.0}}],
    }
    assert _cells(by_users(results, "json", "n", (1, 1000), 0))[2:] == [["ours", "2 (1-3)", "5,000"]]


def test_added_latency_is_taken_within_a_round() -> None:
    # The second round was slow for both.
    ours, direct = [_paced(51.0, 60.0), _paced(151.0, 160.0)], [_paced(50.0, 52.0), _paced(150.0, 152.0)]
    assert added(ours, direct, "paced-10", "first_p99_ms") == [8.0, 8.0]


def test_direct_access_shows_its_own_latency_and_the_others_what_they_add() -> None:
    table = first_content_table({"direct": [_paced(50.0, 52.0)], "ours": [_paced(50.5, 57.0)]}, (10,))
    assert _cells(table)[2:] == [["direct (itself)", "50.0", "52.0"], ["ours", "0.5", "5.0"]]


def test_memory_of_a_gateway_that_did_not_open_all_streams_has_a_gap() -> None:
    results: dict[str, Rounds] = {"direct": [{}], "slow": [{"memory": {"idle_mib": 376.4, "kib_per_stream_10": 2.0}}]}
    assert _cells(memory_table(results, (10, 1000)))[2:] == [["slow", "376", "2.0", "-"]]


def test_quietness_shows_used_and_waited() -> None:
    assert _cells(quiet_table({"ours": [_paced(1.0, 1.0)]}, ["paced-10"]))[2:] == [["ours", "0.20; 0.10"]]


def test_a_gateway_that_could_not_be_measured_is_a_row_with_its_reason() -> None:
    outcome = Outcome(
        results={"ours": []}, versions={"ours": "abc"}, notes={"ours": "n"}, reasons={"smg": "no | wheel"}
    )
    assert _cells(gateways_table(outcome).replace("no / wheel", "no wheel"))[2:] == [
        ["ours", "abc", "n"],
        ["smg", "-", "NOT MEASURED in all rounds: no wheel"],
    ]


def test_the_report_tells_machine_command_and_what_went_wrong() -> None:
    facts = {"date": "today", "commit": "abc", "command": "./scout bench", "machine": "a computer", "python": "3.11"}
    numbers: dict[str, object] = {"rounds": 3, "nice": 0, "load_before": 0.25, "load_after": 1.75}
    outcome = Outcome(results={"ours": [_paced(1.0, 1.0)]}, troubles={"ours": ["json, 10 users: 2 x 503"]})
    text = report(outcome, {**facts, **numbers}, (10,), (10,))
    assert "today, commit abc, `./scout bench`, a computer, Python 3.11, 3 rounds" in text
    assert "- ours: json, 10 users: 2 x 503" in text
