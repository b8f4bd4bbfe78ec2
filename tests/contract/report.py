"""The contract as a report for an operator: case by case as they run, then counts and what failed."""

import json
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tests.contract.targets import TARGETS, Target

MARKS = {"passed": "pass", "failed": "FAIL", "skipped": "skip"}
REASON_CHARS = 300


@dataclass(frozen=True)
class Case:
    """What became of one case. `outcome` is passed, failed or skipped; `reason` is empty for a pass."""

    group: str
    name: str
    outcome: str
    reason: str
    seconds: float


class Report:
    """A pytest plugin that gives the suite its one target and takes the place of pytest's own output."""

    def __init__(self, target: Target) -> None:
        self.cases: list[Case] = []
        self._skipped: Counter[str] = Counter()
        self._target = target
        self._began = time.monotonic()

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[TARGETS] = [self._target]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Only cases that talk to a target are about this server. They run file by file, as the report is read."""
        kept = [item for item in items if "target" in getattr(item, "fixturenames", ())]
        items[:] = sorted(kept, key=lambda item: (item.path, item.location[1] or 0))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._add(Case("the suite itself", report.nodeid, "failed", _reason(report), 0.0))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # A case is its call; set-up and tear-down count only where they went wrong or skipped it.
        if report.when == "call" or report.outcome != "passed":
            group, name = _title(report.nodeid, self._target.name)
            reason = _reason(report).removeprefix(f"{self._target.name}: ")
            self._add(Case(group, name, report.outcome, reason, round(report.duration, 2)))

    def pytest_sessionfinish(self) -> None:
        self._print_skips()

    def _add(self, case: Case) -> None:
        if not self.cases or self.cases[-1].group != case.group:
            self._print_skips()
            print(f"\n{case.group}")
        self.cases.append(case)
        if case.outcome == "skipped":
            self._skipped[case.reason] += 1
            return
        reason = f": {case.reason}" if case.reason else ""
        print(f"  {MARKS[case.outcome]}  {case.name}{reason}", flush=True)

    def _print_skips(self) -> None:
        """Each reason once, however many cases of the group it keeps from running."""
        for reason, count in self._skipped.items():
            print(f"  skip  {count} {'case' if count == 1 else 'cases'}: {reason}")
        self._skipped.clear()

    def count(self, outcome: str) -> int:
        return sum(case.outcome == outcome for case in self.cases)

    def summary(self) -> str:
        """The last lines: every failure once more, then the counts."""
        failed = [
            f"  FAIL  {case.group}: {case.name}\n        {case.reason}"
            for case in self.cases
            if case.outcome == "failed"
        ]
        head = ["", "What failed", *failed] if failed else []
        counts = ", ".join(f"{self.count(outcome)} {outcome}" for outcome in MARKS)
        return "\n".join([*head, "", f"{counts} in {time.monotonic() - self._began:.0f} s"])

    def write(self, path: Path) -> None:
        """The same as JSON; the key is not in it."""
        counts = {outcome: self.count(outcome) for outcome in MARKS}
        server = {"url": self._target.url, "model": self._target.model, "held_to": self._target.name}
        whole = {"server": server, "counts": counts, "cases": [asdict(case) for case in self.cases]}
        path.write_text(json.dumps(whole, indent=2) + "\n")


def _title(nodeid: str, target: str) -> tuple[str, str]:
    """`tests/contract/test_chat.py::test_usage_adds_up[server]` -> ("chat", "usage adds up")."""
    file, _, function = nodeid.partition("::")
    name, _, parameters = function.partition("[")
    parts = [part for part in parameters.rstrip("]").split("-") if part != target]
    told = f" ({' '.join(parts)})" if parts else ""
    return Path(file).stem.removeprefix("test_").replace("_", " "), name.removeprefix("test_").replace("_", " ") + told


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if report.outcome == "passed":
        return ""
    if isinstance(report.longrepr, tuple):  # a skip: file, line, reason
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else report.longreprtext
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:3])[:REASON_CHARS]
