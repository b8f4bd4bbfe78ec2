"""The instruments as tests read them: what was counted, and the log lines, parsed."""

import io
import json
from typing import Any

from prometheus_client import CollectorRegistry

from gateway.ledger import Ledger
from gateway.logs import make_log
from gateway.metrics import Metrics
from gateway.ports import Clock


class Accounts:
    """A ledger that writes to memory."""

    def __init__(self, clock: Clock) -> None:
        self._written = io.StringIO()
        self.log = make_log(self._written)
        self.metrics = Metrics(CollectorRegistry())
        self.ledger = Ledger(self.metrics, self.log, clock)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._written.getvalue().splitlines()]

    @property
    def line(self) -> dict[str, Any]:
        """The one line there is."""
        (line,) = self.lines
        return line

    def forget(self) -> None:
        """Drops the lines that have been written so far."""
        self._written.seek(0)
        self._written.truncate()

    def count(self, name: str, **labels: str) -> float:
        """A sample's value; 0 where nothing was counted."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def counted(self, name: str) -> dict[tuple[str, ...], float]:
        """All samples of that name, by the values of their labels in alphabetical order of the labels."""
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == name
        }
