"""What the lifespan hands to the routes: built when the server starts, closed when it stops."""

from typing import Annotated, TypedDict, cast

from fastapi import Depends, Request

from gateway.chat import Gateway
from gateway.conversation import Conversations


class State(TypedDict):
    """Starlette copies it into every request's state."""

    gateway: Gateway
    conversations: Conversations


async def _gateway(request: Request) -> Gateway:
    return cast(Gateway, request.state.gateway)


TheGateway = Annotated[Gateway, Depends(_gateway)]


async def _conversations(request: Request) -> Conversations:
    return cast(Conversations, request.state.conversations)


TheConversations = Annotated[Conversations, Depends(_conversations)]
