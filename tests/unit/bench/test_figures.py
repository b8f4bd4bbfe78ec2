import pytest

from tests.bench.figures import Spread, percentile, ratios, table


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1.0), (0.01, 1.0), (0.5, 50.0), (0.501, 51.0), (0.99, 99.0), (1.0, 100.0)]
)
def test_percentile_is_the_smallest_value_that_the_share_does_not_exceed(share: float, expected: float) -> None:
    assert percentile([float(n) for n in range(1, 101)], share) == expected


def test_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 0.99) == 7.0


def test_spread_shows_median_and_range() -> None:
    assert Spread.of([3.0, 1.0, 2000.5]).text(1) == "3.0 (1.0-2,000.5)"


def test_spread_without_a_visible_range_shows_the_median_alone() -> None:
    assert Spread.of([1.01, 1.02]).text(1) == "1.0"


def test_ratios_are_taken_within_a_round() -> None:
    # The second round was ten times slower for both: the ratio does not see it.
    assert ratios([2.0, 20.0], [1.0, 10.0]) == Spread(2.0, 2.0, 2.0)


def test_ratios_refuse_rounds_without_a_partner() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


def test_table_is_markdown_with_numbers_to_the_right() -> None:
    assert table(["client", "n"], [["a", "10"], ["longer", "9"]]).splitlines() == [
        "| client |  n |",
        "|--------|---:|",
        "| a      | 10 |",
        "| longer |  9 |",
    ]
