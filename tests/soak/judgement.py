"""Whether a process that has worked for a while holds more than it did: readings over time, and what they say. Pure.

Memory is judged by the second half of a run. In the first one everything that is bounded fills up: the affinity index,
the metrics' labels, the pools of connections, the allocator's own pools.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from tests.bench.figures import table

SHOWN = 16
"""Rows of the table over time, whatever the run's length."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The gateway at one moment. `at_s` counts from the start of the traffic, `requests` are those ended by then."""

    at_s: float
    requests: int
    rss_kib: float
    fds: int
    sockets: int
    threads: int
    in_flight: int
    waiting: int
    open_requests: int

    @property
    def held(self) -> int:
        """Places, places in the queue and requests that the gateway believes to be under way."""
        return self.in_flight + self.waiting + self.open_requests


@dataclass(frozen=True, slots=True)
class Growth:
    """Resident memory over the second half of a run: how steep it is, and the medians of its two quarters."""

    requests: int
    kib_per_minute: float
    bytes_per_request: float
    earlier_kib: float
    later_kib: float

    @classmethod
    def of(cls, readings: Sequence[Reading]) -> "Growth":
        """Of four readings at least, at different times and after different numbers of requests."""
        half = readings[len(readings) // 2 :]
        memory = [reading.rss_kib for reading in half]
        middle = len(half) // 2
        return cls(
            half[-1].requests - half[0].requests,
            slope([reading.at_s / 60 for reading in half], memory),
            slope([float(reading.requests) for reading in half], memory) * 1024,
            median(memory[:middle]),
            median(memory[middle:]),
        )

    def __str__(self) -> str:
        return (
            f"second half: {self.requests:,} requests, {self.kib_per_minute:+.0f} KiB/min, "
            f"{self.bytes_per_request:+.0f} bytes/request, "
            f"median {self.earlier_kib:,.0f} KiB, then {self.later_kib:,.0f} KiB"
        )


@dataclass(frozen=True, slots=True)
class Bounds:
    """What still counts as flat.

    A leak grows with the requests and not with the time, so the slope is bounded by request. `bytes_per_request`
    is the size of an empty dict: less is hardly an object that was forgotten of each. `slack_kib` is what the whole
    half may grow besides: the allocator keeps the most that was ever needed at once, and a few big prompts that meet
    for the first time raise that by a MiB or two. So the longer a run, the finer it measures: with 1,000 requests in
    the half 2.1 KiB each are noticed, with 50,000 some 110 bytes.

    The bound on the medians, `ratio`, is for what comes in one step, which is no slope.
    """

    bytes_per_request: float = 64.0
    slack_kib: float = 2048.0
    ratio: float = 1.05

    def grown_kib(self, requests: int) -> float:
        """The most that so many requests may add."""
        return self.slack_kib + requests * self.bytes_per_request / 1024


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """The slope that three fifths of those between any two of these points exceed. Needs two different `xs`.

    A leak is in all of them; one step of the allocator is in half at most, where it comes in the middle, so not in this
    one. Least squares would take the step for a leak of one and a half times its size; the median (Theil and Sen)
    decides by a hair there.
    """
    pairs = combinations(zip(xs, ys, strict=True), 2)
    slopes = sorted((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in pairs if x1 != x2)
    return slopes[len(slopes) * 2 // 5]


def memory_problems(growth: Growth, bounds: Bounds) -> Iterator[str]:
    """What is wrong with the memory, if anything."""
    if growth.bytes_per_request * growth.requests / 1024 > bounds.grown_kib(growth.requests):
        yield f"memory grows with the requests: {growth}"
    if growth.later_kib > growth.earlier_kib * bounds.ratio:
        yield f"memory is {growth.later_kib / growth.earlier_kib - 1:.1%} larger at the end: {growth}"


def leftovers(before: Reading, after: Reading) -> Iterator[str]:
    """What is still held once nobody asks any more and nobody is asked."""
    for what, value in (("places", after.in_flight), ("in the queue", after.waiting), ("open", after.open_requests)):
        if value:
            yield f"{value} requests still hold something: {what}"
    for what, was, now in (
        ("sockets", before.sockets, after.sockets),
        ("file descriptors", before.fds, after.fds),
        ("threads", before.threads, after.threads),
    ):
        if now > was:
            yield f"{now} {what} are left, {was} there were before the traffic"


def too_many_sockets(readings: Sequence[Reading], most: int) -> Iterator[str]:
    """Whether more were open at once than the requests at work can need.

    `most`: what an idle gateway has, one for each client, and two for each place: one in use, and one that its last
    request has given up on and that is still closing.
    """
    seen = max(reading.sockets for reading in readings)
    if seen > most:
        yield f"{seen} sockets were open at once, and {most} are the most that can be needed"


def over_time(readings: Sequence[Reading]) -> str:
    """The readings as a table of at most SHOWN rows, the first and the last among them."""
    last = len(readings) - 1
    shown = sorted({round(last * row / (SHOWN - 1)) for row in range(SHOWN)})
    head = ["s", "requests", "RSS KiB", "fds", "sockets", "threads", "places held", "queued", "open"]
    return table(head, [_row(readings[number]) for number in shown])


def _row(reading: Reading) -> list[str]:
    return [
        f"{reading.at_s:.0f}",
        f"{reading.requests:,}",
        f"{reading.rss_kib:,.0f}",
        str(reading.fds),
        str(reading.sockets),
        str(reading.threads),
        str(reading.in_flight),
        str(reading.waiting),
        str(reading.open_requests),
    ]
