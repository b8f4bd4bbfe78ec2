"""The report: sums against prices, and a loss is called one."""

import pytest

from gateway.costs import MICROS_PER_DOLLAR
from gateway.savings import LINE_CHARS, Answers, Month, dollars, hours_passed, render, report
from tests.unit.gateway.test_costs import PRICES

MONTH = Month(
    "2026-11",
    0.0,
    {"on-prem": 90, "openai": 8, "static": 2},
    {"on-prem": Answers(100, 900_000, 90_000, 0, 0), "openai": Answers(9, 100_000, 10_000, 50_000, 1)},
    {"website": Answers(109, 1_000_000, 100_000, 50_000, 1)},
)


def test_the_net_is_the_cloud_s_price_less_what_was_spent_and_what_the_gpus_cost() -> None:
    made = report(MONTH, PRICES, hours=2.0)
    assert made.requests == 100
    assert made.on_prem_share == 0.9
    assert made.cloud_micros == 50_000
    assert made.counterfactual_micros == 13 * MICROS_PER_DOLLAR  # 1 M at $10 and 0.1 M at $30
    assert made.gpu_micros == 6 * MICROS_PER_DOLLAR  # 3 GPUs, 2 hours, $1
    assert made.net_micros == 6_950_000
    text = render(made)
    assert "net saving" in text and "$6.95" in text
    assert max(map(len, text.splitlines())) <= LINE_CHARS
    text = " ".join(text.split())
    assert "idle ones included: made up" in text
    assert "in 1 of them estimated" in text
    assert "tenant website" in text


def test_gpus_that_stand_idle_make_it_a_loss() -> None:
    made = report(MONTH, PRICES, hours=720.0)
    assert made.net_micros < 0
    assert "net LOSS" in render(made)


def test_a_month_without_traffic_has_a_report_too() -> None:
    made = report(Month("2026-11", None), PRICES, hours=0.0)
    assert (made.requests, made.on_prem_share, made.net_micros) == (0, 0.0, 0)
    assert render(made)


@pytest.mark.parametrize(
    ("micros", "told"), [(0, "$0.00"), (1_234, "$0.0012"), (1_500_000, "$1.50"), (12_345_678_900, "$12,345.68")]
)
def test_money_is_told_as_finely_as_it_is_little(micros: int, told: str) -> None:
    assert dollars(micros) == told


def test_hours_count_from_the_ledger_s_first_row_until_now_or_the_month_s_end() -> None:
    assert hours_passed(0.0, 7200.0, None, 3600.0) == 0.0
    assert hours_passed(0.0, 7200.0, 1800.0, 3600.0) == 0.5
    assert hours_passed(0.0, 7200.0, 0.0, 99_999.0) == 2.0
    assert hours_passed(3600.0, 7200.0, 0.0, 99_999.0) == 1.0, "the whole month, since the ledger is older"
    assert hours_passed(3600.0, 7200.0, 0.0, 1.0) == 0.0, "a month to come"
    assert hours_passed(0.0, 7200.0, 8000.0, 9000.0) == 0.0, "a month before the ledger's"


def test_a_month_without_traffic_costs_its_gpus_and_is_a_loss() -> None:
    made = report(Month("2026-12", 0.0), PRICES, hours=744.0)
    assert made.net_micros == -3 * 744 * MICROS_PER_DOLLAR


def test_every_figure_of_money_is_told_with_its_assumption() -> None:
    told = {figure.name: figure.assumption for figure in report(MONTH, PRICES, hours=2.0).figures}
    assert all(told[name] for name in ("cloud spend", "the same in the cloud", "GPUs", "net saving", "share on-prem"))
    assert "counted at nothing" in told["the same in the cloud"]
