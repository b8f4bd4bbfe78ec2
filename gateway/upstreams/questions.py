"""Short questions to a replica, over connections of their own, so that none waits behind the traffic.

What the probes ask with, once a second for each busy replica: a general client would take as long for one of these as
the gateway takes for a customer's request, and every stream under way would wait for it.
"""

import zlib

from gateway.ports import Headers, NoReply, Reply
from gateway.upstreams.http1 import Client, ConnectFailed, Disconnected, ProtocolBroken, Response

MAX_REPLY_BYTES = 8 * 1024 * 1024
"""Of an answer, unpacked. An engine's page of metrics has some 50 KB."""

_GZIP = 16 + zlib.MAX_WBITS  # the container that zlib is to expect


class Questions:
    """Satisfies `gateway.ports.Asker`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def ask(self, base_url: str, path: str, headers: Headers, body: bytes | None = None) -> Reply:
        """See the protocol."""
        sent = (*headers, ("accept-encoding", "gzip"))
        try:
            if body is None:
                response = await self._client.get(base_url, path, sent)
            else:
                response = await self._client.post(base_url, path, sent, body)
            try:
                return Reply(response.status, _unpacked(response, await response.read_all(MAX_REPLY_BYTES)))
            finally:
                response.close()
        except ConnectFailed as error:
            raise NoReply(type(error).__name__, reached=False) from error
        except (Disconnected, ProtocolBroken) as error:
            raise NoReply(type(error).__name__) from error


def _unpacked(response: Response, raw: bytes) -> bytes:
    if len(raw) > MAX_REPLY_BYTES:
        raise NoReply("too long")
    if response.header("content-encoding") != "gzip":
        return raw
    unpacking = zlib.decompressobj(_GZIP)
    try:
        body = unpacking.decompress(raw, MAX_REPLY_BYTES)
    except zlib.error as error:
        raise NoReply("not the gzip that it says it is") from error
    if unpacking.unconsumed_tail or not unpacking.eof:
        raise NoReply("too long" if unpacking.unconsumed_tail else "cut short")
    return body
