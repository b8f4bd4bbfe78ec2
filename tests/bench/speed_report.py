"""The report of the speed bench as Markdown. Pure: no I/O."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench.figures import Spread, table
from tests.bench.speed_targets import DIRECT, Results, Rounds, Verdict, values, verdicts


@dataclass
class Outcome:
    """All that a run found, by gateway. A reason tells why one could not be measured, in a round or in all."""

    results: dict[str, list[dict[str, dict[str, float]]]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    troubles: dict[str, list[str]] = field(default_factory=dict)


def cell(found: Sequence[float], digits: int) -> str:
    """Median and range; `-` where nothing was measured."""
    return Spread.of(found).text(digits) if found else "-"


def by_users(results: Results, load: str, name: str, users: Sequence[int], digits: int) -> str:
    """A row a gateway, a column a number of users."""
    rows = [
        [gateway, *(cell(values(rounds, f"{load}-{count}", name), digits) for count in users)]
        for gateway, rounds in results.items()
    ]
    kept = [row for row in rows if any(text != "-" for text in row[1:])]
    return table(["gateway", *(f"{count:,}" for count in users)], kept)


def added(rounds: Rounds, direct: Rounds, load: str, name: str) -> list[float]:
    """How much more than direct access, round by round."""
    pairs = (
        (ours.get(load, {}).get(name, math.nan), theirs.get(load, {}).get(name, math.nan))
        for ours, theirs in zip(rounds, direct, strict=False)
    )
    return [ours - theirs for ours, theirs in pairs if not math.isnan(ours - theirs)]


def first_content_table(results: Results, users: Sequence[int]) -> str:
    """Milliseconds until the first content, more than direct access needs; for direct access its own."""
    heads = [f"{name} {count:,}" for name in ("p50", "p99") for count in users]
    direct = results.get(DIRECT, ())
    rows = []
    for gateway, rounds in results.items():
        cells = []
        for name in ("first_p50_ms", "first_p99_ms"):
            for count in users:
                load = f"paced-{count}"
                own = gateway == DIRECT
                cells.append(cell(values(rounds, load, name) if own else added(rounds, direct, load, name), 1))
        rows.append([f"{gateway} (itself)" if gateway == DIRECT else gateway, *cells])
    return table(["gateway", *heads], rows)


def memory_table(results: Results, stages: Sequence[int]) -> str:
    """Resident memory when nothing is open, and its growth by open streams, per stream."""
    rows = []
    for gateway, rounds in results.items():
        if gateway != DIRECT:
            cells = [cell(values(rounds, "memory", f"kib_per_stream_{stage}"), 1) for stage in stages]
            rows.append([gateway, cell(values(rounds, "memory", "idle_mib"), 0), *cells])
    return table(["gateway", "MiB, no stream", *(f"KiB/stream at {stage:,}" for stage in stages)], rows)


def quiet_table(results: Results, loads: Sequence[str]) -> str:
    """How undisturbed a gateway was: cores it used, and threads of it that waited for a core, on average."""
    rows = []
    for gateway, rounds in results.items():
        if gateway != DIRECT:
            cells = []
            for load in loads:
                used, waited = values(rounds, load, "core_used"), values(rounds, load, "core_waited")
                cells.append(f"{cell(used, 2)}; {cell(waited, 2)}")
            rows.append([gateway, *cells])
    return table(["gateway", *(f"{load} (used; waited)" for load in loads)], rows)


def target_table(found: Sequence[Verdict]) -> str:
    """A row a target."""
    return table(["target", "measured", ""], [[verdict.wanted, verdict.measured, verdict.word] for verdict in found])


def gateways_table(outcome: Outcome) -> str:
    """What was compared, and why something was not."""
    names = [*outcome.results, *(name for name in outcome.reasons if name not in outcome.results)]
    rows = []
    for name in names:
        note = outcome.notes.get(name, "")
        if name in outcome.reasons:
            note = f"NOT MEASURED in all rounds: {outcome.reasons[name]}"
        rows.append([name, outcome.versions.get(name, "-"), note.replace("|", "/")])
    return table(["gateway", "version", "what it is"], rows)


def report(outcome: Outcome, facts: Mapping[str, object], users: Sequence[int], stages: Sequence[int]) -> str:
    """The whole report."""
    results = outcome.results
    load_before, load_after = (float(str(facts[name])) for name in ("load_before", "load_after"))
    head = (
        f"{facts['date']}, commit {facts['commit']}, `{facts['command']}`, {facts['machine']}, "
        f"Python {facts['python']}, {facts['rounds']} rounds, nice {facts['nice']}, "
        f"load average {load_before:.1f} before and {load_after:.1f} after."
    )
    parts = [
        ("Gateways", gateways_table(outcome)),
        ("Targets", target_table(verdicts(results))),
        ("JSON answers per second of the gateway's CPU", by_users(results, "json", "answers_per_cpu_s", users, 0)),
        ("JSON answers per second of the clock", by_users(results, "json", "answers_per_s", users, 0)),
        (
            "Streams of 32 tokens per second of the gateway's CPU",
            by_users(results, "stream", "answers_per_cpu_s", users, 0),
        ),
        ("Streams of 32 tokens per second of the clock", by_users(results, "stream", "answers_per_s", users, 0)),
        ("CPU per chunk of paced streams, microseconds", by_users(results, "paced", "cpu_us_per_chunk", users, 1)),
        ("First content of paced streams, ms more than direct", first_content_table(results, users)),
        ("Memory", memory_table(results, stages)),
        ("How undisturbed it was, in cores", quiet_table(results, ["json-100", "stream-100", "paced-100"])),
    ]
    troubles = [f"- {name}: {line}" for name, lines in outcome.troubles.items() for line in lines]
    if troubles:
        parts.append(("What went wrong", "\n".join(troubles)))
    return "\n\n".join([head, *(f"### {title}\n\n{body}" for title, body in parts)])
