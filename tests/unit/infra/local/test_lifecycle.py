import pytest

from infra.local.lifecycle import Remedy, after_death, ending, phase_of, restart_delay_s
from infra.local.state import Phase, Stage


@pytest.mark.parametrize(
    ("phase", "restart", "remedy"),
    [
        (Phase.STARTING, True, Remedy.FAIL),
        (Phase.STARTING, False, Remedy.FAIL),
        (Phase.READY, True, Remedy.RESTART),
        (Phase.READY, False, Remedy.LEAVE),
        (Phase.STOPPING, True, Remedy.LEAVE),
    ],
)
def test_death_is_final_only_while_starting(phase: Phase, restart: bool, remedy: Remedy) -> None:
    assert after_death(phase, restart=restart) is remedy


def test_each_death_in_a_row_waits_twice_as_long_up_to_a_limit() -> None:
    assert [restart_delay_s(deaths) for deaths in (1, 2, 3, 4, 5, 6, 60)] == [1, 2, 4, 8, 16, 30, 30]


def test_stack_is_ready_when_all_of_it_is() -> None:
    assert phase_of(Phase.STARTING, [Stage.READY, Stage.LOADING]) is Phase.STARTING
    assert phase_of(Phase.STARTING, [Stage.READY, Stage.READY]) is Phase.READY


def test_ready_stack_stays_ready_while_a_service_restarts() -> None:
    assert phase_of(Phase.READY, [Stage.READY, Stage.RESTARTING]) is Phase.READY


def test_exit_codes_in_words() -> None:
    assert ending(-9) == "was killed by signal 9"
    assert ending(3) == "ended with exit code 3"
