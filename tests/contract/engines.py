"""What the engines themselves report, read from their metrics: the only witness of what happens behind a server.

Figures are summed over every engine and label, so that a case need not know which replica serves it.
"""

import time
from collections import Counter

import httpx

RUNNING = "vllm:num_requests_running"
WAITING = "vllm:num_requests_waiting"
GENERATED = "vllm:generation_tokens_total"
_POLL_S = 0.05


def parse(exposition: str) -> dict[str, float]:
    """Sample name -> sum over its labels, of a text in Prometheus' exposition format."""
    sums: Counter[str] = Counter()
    for line in exposition.splitlines():
        if line and not line.startswith("#"):
            sample, _, value = line.rpartition(" ")
            sums[sample.partition("{")[0]] += float(value)  # type: ignore[assignment]
    return dict(sums)


class Engines:
    """All engines that may serve a target."""

    def __init__(self, urls: tuple[str, ...], key: str) -> None:
        self._urls = urls
        self._http = httpx.Client(headers={"authorization": f"Bearer {key}"} if key else {}, timeout=10)

    def close(self) -> None:
        self._http.close()

    def total(self, sample: str) -> float:
        """The sample summed over the engines. Raises KeyError when an engine does not know it."""
        return sum(parse(self._http.get(url).raise_for_status().text)[sample] for url in self._urls)

    def busy(self) -> float:
        """Requests running or waiting."""
        return self.total(RUNNING) + self.total(WAITING)

    def wait_until_generating(self, before: float, within_s: float = 60) -> None:
        """Returns when more tokens than `before` have been generated; AssertionError when none comes in time.

        By the counter, because the gauge of running requests may be missed between two looks on a busy machine.
        """
        self._wait(lambda: self.total(GENERATED) > before, within_s, "no token was generated")

    def wait_until_idle(self, within_s: float = 30) -> None:
        """Returns when no request runs or waits; AssertionError when one still does after that time."""
        self._wait(lambda: self.busy() == 0, within_s, "a request still runs")

    def _wait(self, reached, within_s: float, otherwise: str) -> None:  # type: ignore[no-untyped-def]
        deadline = time.monotonic() + within_s
        while not reached():
            assert time.monotonic() < deadline, f"{otherwise} after {within_s:g} s"
            time.sleep(_POLL_S)
