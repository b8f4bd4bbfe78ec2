"""Asks the local tailscaled which way the packets to the replicas take.

An edge, off every request's path: what it finds is logged and counted, and never decides where a request goes. A
relayed link works, only slower, and an operator wants to know. Looking never raises and never takes long.
"""

import asyncio
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

import httpx

# tailscaled answers only requests that name this host. The fields are those of ipnstate.Status and ipnstate.PeerStatus
# in Tailscale's source.
_STATUS_URL = "http://local-tailscaled.sock/localapi/v0/status"


class Path(StrEnum):
    """How a host is reached: `none` when it is not, `unknown` when tailscaled does not say."""

    DIRECT = "direct"
    RELAYED = "relayed"
    NONE = "none"
    UNKNOWN = "unknown"


class Link:
    """`hosts` are the replicas' hosts, as tailnet addresses or MagicDNS names; repeats count once."""

    def __init__(self, socket_path: str, hosts: Iterable[str], timeout_s: float = 0.5) -> None:
        self.hosts = tuple(dict.fromkeys(host.strip("[]").lower() for host in hosts))
        self._asked = bool(socket_path)
        self._timeout_s = timeout_s
        # No connection is kept between two looks, so there is nothing to close at the end.
        transport = httpx.AsyncHTTPTransport(uds=socket_path, limits=httpx.Limits(max_keepalive_connections=0))
        self._client = httpx.AsyncClient(transport=transport, trust_env=False, timeout=timeout_s)

    async def look(self) -> dict[str, Path]:
        """The path to each host now. Never raises: where there is no answer, no path is known."""
        unknown = dict.fromkeys(self.hosts, Path.UNKNOWN)
        if not self._asked:
            return unknown
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._client.get(_STATUS_URL)
            answer.raise_for_status()
            return _paths(answer.json(), self.hosts)
        except Exception:  # noqa: BLE001  # another program's socket and JSON; whatever is wrong with it, we don't know
            return unknown


def _paths(status: Mapping[str, Any], hosts: Iterable[str]) -> dict[str, Path]:
    if status["BackendState"] != "Running":
        return dict.fromkeys(hosts, Path.NONE)
    peers = {name: peer for peer in (status.get("Peer") or {}).values() for name in _names(peer)}
    return {host: _path(peers[host]) if host in peers else Path.NONE for host in hosts}


def _names(peer: Mapping[str, Any]) -> list[str]:
    """What a peer may be called in a URL: its addresses, and its name without the root's dot."""
    return [*(peer.get("TailscaleIPs") or ()), (peer.get("DNSName") or "").rstrip(".").lower()]


def _path(peer: Mapping[str, Any]) -> Path:
    if not peer.get("Online"):
        return Path.NONE
    if peer.get("CurAddr"):
        return Path.DIRECT
    if not peer.get("Active"):
        return Path.UNKNOWN  # nothing was sent for a while, so no path is in use; Relay then names its home relay only
    # Relay is a relay server of Tailscale's, PeerRelay another node.
    return Path.RELAYED if peer.get("Relay") or peer.get("PeerRelay") else Path.UNKNOWN
