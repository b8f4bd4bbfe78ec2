"""A client, and a server that does as the test says."""

from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.upstreams.http1 import Client
from tests.unit.gateway.upstreams.scripted_server import LIMIT, Server, serving


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    client = Client(connect_timeout_s=10, max_connections_per_origin=LIMIT)
    yield client
    client.close()
