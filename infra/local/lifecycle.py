"""What is to be done when a service ends by itself: pure decisions of the supervisor.

While the stack starts, a death is final: the reason is in that service's log and a second try would only hide it.
Once the stack was ready, a service comes back, later each time, so that one that cannot live does not eat the machine.
"""

from enum import StrEnum

from infra.local.state import Phase, Stage

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 30.0


class Remedy(StrEnum):
    FAIL = "fail"
    RESTART = "restart"
    LEAVE = "leave"


def after_death(phase: Phase, *, restart: bool) -> Remedy:
    if phase is Phase.STARTING:
        return Remedy.FAIL
    if phase is Phase.READY and restart:
        return Remedy.RESTART
    return Remedy.LEAVE


def restart_delay_s(deaths_in_a_row: int) -> float:
    """Seconds before the next start; a death after a time of readiness is the first of a new row."""
    return float(min(FIRST_DELAY_S * 2 ** (max(deaths_in_a_row, 1) - 1), LONGEST_DELAY_S))


def phase_of(current: Phase, stages: list[Stage]) -> Phase:
    """A stack becomes ready when all of it is, and stays so: a later restart is a matter of that service alone."""
    if current is Phase.STARTING and all(stage is Stage.READY for stage in stages):
        return Phase.READY
    return current


def ending(code: int) -> str:
    """An exit code of `Popen` in words."""
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
