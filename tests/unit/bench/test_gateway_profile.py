"""From samples to a table of functions."""

from tests.bench.gateway_profile import ancestors_table, flame, flame_table

RAW = [
    "run (a.py:1);relay (b.py:10);feed (c.py:5) 30",
    "run (a.py:1);relay (b.py:12);feed (c.py:6) 10",
    "run (a.py:1);relay (b.py:12) 20",
    "run (a.py:1);walk (d.py:1);walk (d.py:2) 40",
    "",
]


def test_lines_of_one_function_are_one_function() -> None:
    assert flame(RAW).own["feed (c.py)"] == 40


def test_total_counts_everything_below_a_function() -> None:
    found = flame(RAW)
    assert (found.samples, found.total["run (a.py)"], found.total["relay (b.py)"]) == (100, 100, 60)


def test_recursion_counts_once() -> None:
    assert flame(RAW).total["walk (d.py)"] == 40


def test_table_begins_with_the_most_own_time() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in flame_table(flame(RAW), 3).splitlines()[2:]]
    assert rows[0] == ["feed (c.py)", "40.0", "40.0"]
    assert rows[2] == ["relay (b.py)", "20.0", "60.0"]


def test_ancestors_begin_with_the_most_time_below_and_leave_out_what_holds_all() -> None:
    assert ancestors_table(flame(RAW), 1).splitlines()[-1].split("|")[1].strip() == "relay (b.py)"


def test_nothing_sampled_is_said() -> None:
    assert flame_table(flame([]), 5) == "no samples"
