"""What the lifespan hands to the routes: built when the server starts, closed when it stops."""

from asyncio import TaskGroup
from typing import Annotated, TypedDict, cast

from fastapi import Depends, Request

from gateway.chat import Gateway


class State(TypedDict):
    """Starlette copies it into every request's state. `tasks` is where a request spawns what watches over it."""

    gateway: Gateway
    tasks: TaskGroup


async def _gateway(request: Request) -> Gateway:
    return cast(Gateway, request.state.gateway)


async def _tasks(request: Request) -> TaskGroup:
    return cast(TaskGroup, request.state.tasks)


TheGateway = Annotated[Gateway, Depends(_gateway)]
TheTasks = Annotated[TaskGroup, Depends(_tasks)]
