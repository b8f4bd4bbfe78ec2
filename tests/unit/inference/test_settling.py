import pytest

from inference.settling import Reading, Settling, Verdict

WAIT, DRAINED, DEADLINE = Verdict.WAIT, Verdict.DRAINED, Verdict.DEADLINE


@pytest.mark.parametrize(
    ("readings", "verdicts"),
    [
        pytest.param([(0, 0), (2.9, 0), (3, 0)], [WAIT, WAIT, DRAINED], id="zero for three seconds"),
        pytest.param([(0, 2), (1, 0), (3.9, 0), (4, 0)], [WAIT, WAIT, WAIT, DRAINED], id="counted from the first zero"),
        pytest.param([(0, 0), (2, 1), (4, 0), (6, 0), (7, 0)], [WAIT] * 4 + [DRAINED], id="one more starts it anew"),
        pytest.param([(0, 0), (2, None), (4, 0), (6, 0)], [WAIT] * 4, id="not knowing is no zero"),
        pytest.param([(0, 5), (9.9, 5), (10, 5)], [WAIT, WAIT, DEADLINE], id="never idle"),
        pytest.param([(0, None), (10, None)], [WAIT, DEADLINE], id="nobody can be read"),
        pytest.param([(0, 1), (9, 0), (10, 0)], [WAIT, WAIT, DEADLINE], id="idle too late to be sure"),
        pytest.param([(0, 1), (7, 0), (10, 0)], [WAIT, WAIT, DRAINED], id="drained as the deadline passes"),
    ],
)
def test_drained_is_zero_for_a_while_and_the_deadline_ends_the_wait(
    readings: list[tuple[float, int | None]], verdicts: list[Verdict]
) -> None:
    began = 1000.0
    settling = Settling(began, deadline_s=10, settle_s=3)
    assert [settling.judge(began + after, left) for after, left in readings] == verdicts


@pytest.mark.parametrize(
    ("gateways", "engine", "left"),
    [(2, 3, 3), (3, 2, 3), (0, 1, 1), (0, 0, 0), (0, None, 0), (2, None, 2), (None, 0, 0), (None, None, None)],
)
def test_the_larger_count_decides_and_who_cannot_be_read_does_not(
    gateways: int | None, engine: int | None, left: int | None
) -> None:
    assert Reading(gateways, engine).left == left


def test_a_count_that_is_missing_is_told() -> None:
    assert str(Reading(2, None)) == "in flight: 2 by the gateways' count, unknown by the engine's"
