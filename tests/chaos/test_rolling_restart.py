"""The promise to the client: all replicas are restarted, one after the other, and you do not notice.

Each is drained before it is ended, and what has not ended by then goes on elsewhere. Here the operator's command does
it, at the stack's own gateway, while clients ask without a pause.
"""

import asyncio
import signal
import subprocess

import pytest

from tests.chaos.front import Front
from tests.chaos.load import Steady, questions, unbroken
from tests.chaos.stack import ROOT, Stack
from tests.chaos.tally import Tally

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

CLIENTS = 3
TOKENS = 64
REST_S = 2.0
"""Between two questions of a client. More load than this takes the processors that the starting replicas need."""


async def test_rolling_restart_under_constant_load_loses_nothing(stack: Stack, tally: Tally) -> None:
    everyone = len(stack.replica_urls)
    async with Front(stack, stack.variables["SCOUT_URL"], replicas=everyone) as front:
        twins = await unbroken(front.client, questions(CLIENTS, tokens=TOKENS))
        async with Steady(front.client, twins, CLIENTS, tally, rest_s=REST_S):
            command = await asyncio.create_subprocess_exec(
                *stack.command("restart", "--rolling"),
                cwd=ROOT,
                env=stack.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            try:
                said, _ = await command.communicate()
            finally:
                if command.returncode is None:
                    command.send_signal(signal.SIGINT)  # it takes its marks away again
        print(said.decode())
        assert command.returncode == 0, said.decode()
        assert tally.lost == []
        assert tally.typed == {}
        assert tally.whole == tally.sent
        assert len(await front.ready()) == everyone
