"""What counts as met, missed and not measured."""

import math

from tests.bench.speed_targets import Rounds, Verdict, compare, values, verdicts


def _round(load: str, **measured: float) -> dict[str, dict[str, float]]:
    return {load: measured}


def _everything(streams: float, chunk_us: float, json: float, p99_ms: float, kib: float) -> Rounds:
    return [
        {
            "stream-100": {"answers_per_cpu_s": streams},
            "paced-100": {"cpu_us_per_chunk": chunk_us, "first_p99_ms": p99_ms},
            "json-100": {"answers_per_cpu_s": json},
            "memory": {"kib_per_stream_1000": kib},
        }
    ]


def _all_measured(ours: Rounds) -> list[Verdict]:
    return verdicts(
        {
            "direct": _everything(math.nan, math.nan, math.nan, 52.0, math.nan),
            "ours": ours,
            "smg": _everything(1000.0, 50.0, 3000.0, 53.0, 60.0),
            "vllm-router": _everything(900.0, 60.0, 2500.0, 53.0, 60.0),
            "vllm-router/p2c": _everything(1200.0, 40.0, 7000.0, 53.0, 60.0),
            "litellm": _everything(15.0, 1700.0, 40.0, 900.0, 140.0),
        }
    )


def test_every_target_can_be_met() -> None:
    found = _all_measured(_everything(1201.0, 39.0, 800.0, 56.9, 49.0))
    assert [verdict.word for verdict in found] == ["met"] * 6


def test_every_target_can_be_missed() -> None:
    found = _all_measured(_everything(1199.0, 76.0, 799.0, 57.0, 50.0))
    assert [verdict.word for verdict in found] == ["MISSED"] * 6


def test_the_cheaper_policy_of_a_router_decides() -> None:
    # Below vllm-router's default policy, above its other one.
    assert _all_measured(_everything(1300.0, 50.0, 800.0, 56.0, 40.0))[1].met is False


def test_a_target_says_by_how_much_it_is_missed() -> None:
    assert _all_measured(_everything(600.0, 39.0, 800.0, 56.0, 40.0))[0].measured == (
        "0.60 x smg, 0.67 x vllm-router, 0.50 x vllm-router/p2c"
    )


def test_without_a_peer_a_target_is_not_measured() -> None:
    ours = _everything(1300.0, 39.0, 800.0, 56.0, 40.0)
    assert [verdict.word for verdict in verdicts({"ours": ours})] == ["not measured"] * 5 + ["met"]


def test_one_peer_is_not_enough_to_be_above_all() -> None:
    found = verdicts({"ours": _everything(1300.0, 1.0, 1.0, 1.0, 1.0), "smg": _everything(1000.0, 1.0, 1.0, 1.0, 1.0)})
    assert found[0].met is None


def test_one_peer_is_enough_to_be_below_one() -> None:
    found = verdicts({"ours": _everything(900.0, 1.0, 1.0, 1.0, 1.0), "smg": _everything(1000.0, 1.0, 1.0, 1.0, 1.0)})
    assert found[0].met is False


def test_the_median_of_the_rounds_decides() -> None:
    ours = [_round("memory", kib_per_stream_1000=kib) for kib in (40.0, 45.0, 500.0)]
    assert verdicts({"ours": ours})[-1].met is True


def test_comparison_stays_within_a_round_and_skips_rounds_that_a_peer_sat_out() -> None:
    results: dict[str, Rounds] = {
        "ours": [_round("a", n=10.0), _round("a", n=100.0), _round("a", n=7.0)],
        "peer": [_round("a", n=5.0), _round("a", n=50.0), {}],
    }
    found = compare(results, "a", "n", "peer", lambda ours, theirs: ours / theirs)
    assert found is not None
    assert (found.median, found.low, found.high) == (2.0, 2.0, 2.0)


def test_values_leave_out_what_was_not_measured() -> None:
    assert values([_round("a", n=1.0), {}, _round("a", n=math.nan), _round("b", n=3.0)], "a", "n") == [1.0]
