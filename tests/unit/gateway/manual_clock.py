"""A clock for tests, behind `gateway.ports.Clock`: it moves when it is told to, and never by itself."""


class ManualClock:
    """Begins far from zero, since nothing may rest on where a clock begins."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
