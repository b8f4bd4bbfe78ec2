"""Two minutes of mixed traffic, clients that leave and replicas that go wrong: nothing is lost, and nothing is kept.

The long run is `python -m tests.soak.run`; this one notices what is forgotten of every request, or held for good.
"""

from pathlib import Path

import pytest

from tests.soak.run import soak

MINUTES = 2.0

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.timeout(300)
async def test_nothing_is_lost_and_nothing_is_kept(tmp_path: Path) -> None:
    outcome = await soak(MINUTES, tmp_path)
    print(outcome)
    assert outcome.problems == []
    # What was to be survived has happened: else the run has shown nothing.
    assert outcome.tally.whole > 0 and outcome.tally.resumed > 0 and outcome.tally.left > 0
    assert {"queue_full", "deadline_exceeded", "invalid_field"} <= outcome.tally.typed.keys()
    assert max(reading.waiting for reading in outcome.during) > 0
