"""Those whom a drain asks over HTTP: the admin API of a gateway, and the metrics of one engine.

No proxy of the environment is used: both are asked where the operator says they are. Each question is a connection of
its own with a short time-out, because a drain has to end also when nobody answers.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from inference.errors import InferenceError

Read = TypeVar("Read")

TIMEOUT_S = 3.0

# vllm:num_requests_waiting_by_reason says the same again and is left out.
_GAUGE = re.compile(r"^vllm:num_requests_(running|waiting)(?:\{.*\})? (\S+)", re.MULTILINE)


class GatewayUnreachable(InferenceError):
    """A gateway did not answer, or with something that is not its admin API."""


class GatewayRefused(InferenceError):
    """A gateway answered no: a wrong admin key, a replica it does not know, or no admin keys at all."""


@dataclass(frozen=True, slots=True)
class View:
    """What a gateway says of one replica. `in_flight` counts its own requests on it."""

    name: str
    state: str
    in_flight: int

    @property
    def serves(self) -> bool:
        """Whether it can take the work of another; one that is busy will take it later."""
        return self.state in ("ready", "overloaded")


@dataclass(frozen=True)
class Gateway:
    """One gateway's admin API. Every method raises GatewayUnreachable or GatewayRefused."""

    url: str
    key: str = field(repr=False)

    def replicas(self) -> dict[str, View]:
        """Every replica by its name."""
        listed = self._ask("GET", "/admin/replicas", lambda body: [_view(each) for each in body["replicas"]])
        return {view.name: view for view in listed}

    def mark(self, replica: str) -> View:
        """No new request goes to the replica from now on; those on it go on. Any number of times."""
        return self._ask("PUT", f"/admin/replicas/{quote(replica, safe='')}/drain", _view)

    def unmark(self, replica: str) -> None:
        """The replica is treated by its health alone again."""
        self._ask("DELETE", f"/admin/replicas/{quote(replica, safe='')}/drain", lambda body: None)

    def _ask(self, method: str, path: str, read: Callable[[Any], Read]) -> Read:
        try:
            status, body = _ask(self.url, method, path, self.key)
        except (OSError, HTTPException, ValueError) as exc:
            raise GatewayUnreachable(f"gateway {self.url} does not answer: {exc}") from exc
        if status != 200:
            raise GatewayRefused(f"gateway {self.url} refuses {method} {path}: {_reason(status, body)}")
        try:
            return read(json.loads(body))
        except (ValueError, KeyError, TypeError) as exc:
            raise GatewayUnreachable(f"{self.url}: that is no gateway's admin API") from exc


@dataclass(frozen=True)
class Engine:
    """One engine's metrics, asked through nginx or directly."""

    url: str
    key: str = field(repr=False)

    def in_flight(self) -> int | None:
        """Requests that run or wait, whoever sent them; None when that cannot be read."""
        try:
            status, body = _ask(self.url, "GET", "/metrics", self.key)
        except (OSError, HTTPException, ValueError):
            return None
        return count(body.decode("utf-8", "replace")) if status == 200 else None


def count(metrics: str) -> int | None:
    """Running and waiting requests of a scrape, over all its engines; None unless both gauges are there."""
    found = _GAUGE.findall(metrics)
    if {gauge for gauge, _ in found} != {"running", "waiting"}:
        return None
    try:
        return int(sum(float(value) for _, value in found))
    except (ValueError, OverflowError):  # no number, not finite
        return None


def _view(replica: dict[str, Any]) -> View:
    return View(replica["name"], replica["state"], replica["in_flight"])


def _reason(status: int, body: bytes) -> str:
    try:
        return f"{status}, {json.loads(body)['error']['message']}"
    except (ValueError, KeyError, TypeError):
        return str(status)


def _ask(url: str, method: str, path: str, key: str) -> tuple[int, bytes]:
    place = urlsplit(url)
    # An error and not a guess: HTTPConnection would take an address without a scheme for an empty host.
    if place.scheme not in ("http", "https") or not place.hostname:
        raise ValueError("an address is http://HOST:PORT or https://HOST")
    kind = HTTPSConnection if place.scheme == "https" else HTTPConnection
    connection = kind(place.netloc, timeout=TIMEOUT_S)
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        connection.request(method, f"{place.path.rstrip('/')}{path}", headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
