"""A server on loopback whose every byte the test decides: it accepts, reads and answers only when told to."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway.upstreams.http1 import Client, Response

PATH = "/v1/chat/completions"
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"

LIMIT = 4
"""How many connections the client of these tests may have."""


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def settle() -> None:
    """Enough turns of the loop for whatever can go on to have gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def until(holds: Callable[[], object]) -> None:
    """For what has no event to wait for."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0)


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """One request, head and body."""
        async with asyncio.timeout(10):
            head = await self._reader.readuntil(b"\r\n\r\n")
            _, _, length = head.partition(b"content-length: ")
            return head + await self._reader.readexactly(int(length.split(b"\r\n")[0] or b"0"))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """The client gets a reset, not an orderly end."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def left(self) -> None:
        """Returns when the client has closed the connection."""
        async with asyncio.timeout(10):
            try:
                while await self._reader.read(65536):
                    pass
            except ConnectionError:
                pass


class Server:
    """`url` is its base URL; `peers` are the connections so far, in their order."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.peers: list[Peer] = []
        self._new: asyncio.Queue[Peer] = asyncio.Queue()

    async def accept(self) -> Peer:
        """The next connection that nobody has taken yet."""
        async with asyncio.timeout(10):
            return await self._new.get()

    async def ask(self, client: Client, answer: bytes) -> tuple[Response, Peer]:
        """Posts over a new connection and answers."""
        posting = asyncio.create_task(post(client, self))
        peer = await self.accept()
        await peer.request()
        peer.send(answer)
        return await posting, peer

    async def ask_again(self, client: Client, peer: Peer, answer: bytes) -> Response:
        """Posts and answers over a connection that is expected to be used again."""
        posting = asyncio.create_task(post(client, self))
        await peer.request()
        peer.send(answer)
        return await posting

    def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self.peers.append(peer)
        self._new.put_nowait(peer)


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Listens on a free port of 127.0.0.1. Its connections are cut at the end, so that nothing outlives a test."""
    server = Server("")
    async with asyncio.timeout(60):
        listener = await asyncio.start_server(server.take, "127.0.0.1", 0, ssl=tls)
        port = listener.sockets[0].getsockname()[1]
        server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        try:
            yield server
        finally:
            listener.close()
            for peer in server.peers:
                peer.writer.transport.abort()
            await asyncio.sleep(0)


async def post(client: Client, server: Server, body: bytes = b"{}") -> Response:
    return await client.post(server.url, PATH, [("x-request-id", "req_1")], body)


async def rest(response: Response) -> bytes:
    """All of a body that has not been read yet."""
    pieces = []
    while data := await response.read():
        pieces.append(data)
    return b"".join(pieces)
