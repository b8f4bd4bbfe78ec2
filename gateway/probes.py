"""Asks each replica how it is, again and again: one task a replica, as often as its health wants it.

A probe asks two things through nginx: whether the engine behind it is alive (/health), and whether our key is accepted
and our model served (/v1/models). A replica is ready only when both are right.
"""

import asyncio

import httpx

from gateway.logs import Log
from gateway.ports import Fault
from gateway.routing import Pool, Replica
from gateway.settings import Health

MIN_PAUSE_S = 0.05  # between two looks at the clock, however soon a probe is due


class Prober:
    """Probes over a client of its own, so that no probe waits behind the traffic."""

    def __init__(self, client: httpx.AsyncClient, key: str, model: str, settings: Health, pool: Pool, log: Log) -> None:
        self._client = client
        self._headers = {"authorization": f"Bearer {key}"}
        self._model = model
        self._settings = settings
        self._pool = pool
        self._log = log

    async def watch(self, replica: Replica) -> None:
        """Never returns."""
        while True:
            due_in = self._pool.seconds_until_probe(replica)
            if due_in > 0:
                # A failed request may make the next probe due earlier, hence no sleep to the end.
                await asyncio.sleep(max(MIN_PAUSE_S, min(due_in, self._settings.failed_interval_s)))
                continue
            try:
                await self._probe_and_report(replica)
            except Exception as error:  # noqa: BLE001  # a watch that ends would leave a belief that nobody corrects
                self._pool.report_probe(replica, Fault.UNREACHABLE, f"{type(error).__name__} in a probe")

    async def _probe_and_report(self, replica: Replica) -> None:
        before = replica.belief.state
        fault, reason = await self.probe(replica)
        self._pool.report_probe(replica, fault, reason)
        if replica.belief.state is not before:
            belief = replica.belief
            self._log.info("replica", replica=replica.name, was=before, state=belief.state, reason=belief.reason)

    async def probe(self, replica: Replica) -> tuple[Fault, str]:
        """One probe: what it found, Fault.NONE if all is well, and why."""
        try:
            health = await self._get(replica, "/health")
            if health.status_code in (502, 503):
                return Fault.UNREACHABLE, f"/health: HTTP {health.status_code}"
            if health.status_code != 200:
                return Fault.SUSPECT, f"/health: HTTP {health.status_code}"
            models = await self._get(replica, "/v1/models")
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return Fault.UNREACHABLE, f"no connection ({type(error).__name__})"
        except httpx.HTTPError as error:
            return Fault.SUSPECT, f"no answer to a probe ({type(error).__name__})"
        if models.status_code in (401, 403):
            return Fault.UNREACHABLE, f"nginx refuses our key (HTTP {models.status_code}): check SCOUT_ONPREM_KEY"
        if models.status_code != 200:
            return Fault.SUSPECT, f"/v1/models: HTTP {models.status_code}"
        if self._model not in _names(models):
            return Fault.UNREACHABLE, f"does not serve the model {self._model}"
        return Fault.NONE, "answers probes"

    async def _get(self, replica: Replica, path: str) -> httpx.Response:
        return await self._client.get(replica.url + path, headers=self._headers, timeout=self._settings.timeout_s)


def _names(models: httpx.Response) -> list[str]:
    try:
        listed = models.json()["data"]
        return [str(model["id"]) for model in listed]
    except (ValueError, KeyError, TypeError):
        return []
