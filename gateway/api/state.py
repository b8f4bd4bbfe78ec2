"""What the lifespan hands to the routes: built when the server starts, closed when it stops."""

from typing import Annotated, TypedDict, cast

from fastapi import Depends, Request

from gateway.chat import Gateway


class State(TypedDict):
    """Starlette copies it into every request's state."""

    gateway: Gateway


async def _gateway(request: Request) -> Gateway:
    return cast(Gateway, request.state.gateway)


TheGateway = Annotated[Gateway, Depends(_gateway)]
