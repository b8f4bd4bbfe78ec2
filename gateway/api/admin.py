"""The operator's door to the replicas: which state each is in, and draining one before it is stopped.

It takes keys of its own (SCOUT_ADMIN_KEYS): a client's key opens the model, not the machinery. Without such keys the
door does not exist.
"""

from typing import Any

from fastapi import APIRouter, Request

from gateway.api.docs import ERRORS
from gateway.api.state import TheGateway
from gateway.chat import Gateway
from gateway.errors import PathNotFound
from gateway.pool import Pool, Replica
from shared import headers


def shown(pool: Pool, now: float) -> list[dict[str, Any]]:
    """The replicas as an operator sees them."""
    return [_shown(pool, replica, now) for replica in pool.replicas]


def _shown(pool: Pool, replica: Replica, now: float) -> dict[str, Any]:
    state, reason = pool.state(replica)
    return {
        "name": replica.name,
        "state": state,
        "reason": reason,
        "since_s": round(now - replica.belief.since, 1),
        "draining": replica.belief.draining,
        "in_flight": replica.in_flight,
    }


def routes() -> APIRouter:
    """The routes of this door."""
    router = APIRouter(tags=["administration"], prefix="/admin/replicas", responses=ERRORS)

    @router.get("", summary="Every replica: state, why, and what it has in flight")
    async def replicas(request: Request, gateway: TheGateway) -> dict[str, Any]:
        _let_in(request, gateway)
        return {"replicas": shown(gateway.pool, gateway.clock())}

    @router.put("/{name}/drain", summary="Give this replica no more requests; what it has goes on")
    async def drain(request: Request, name: str, gateway: TheGateway) -> dict[str, Any]:
        return _set(request, gateway, name, draining=True)

    @router.delete("/{name}/drain", summary="Give it requests again")
    async def undrain(request: Request, name: str, gateway: TheGateway) -> dict[str, Any]:
        return _set(request, gateway, name, draining=False)

    return router


def _set(request: Request, gateway: Gateway, name: str, *, draining: bool) -> dict[str, Any]:
    _let_in(request, gateway)
    pool = gateway.pool
    found = [replica for replica in pool.replicas if replica.name == name]
    if not found:
        known = ", ".join(replica.name for replica in pool.replicas)
        raise PathNotFound(f"There is no such replica. There are: {known}.")
    pool.drain(found[0], draining)
    return _shown(pool, found[0], gateway.clock())


def _let_in(request: Request, gateway: Gateway) -> None:
    if not gateway.settings.admin_keys:
        raise PathNotFound("Administration is off: set SCOUT_ADMIN_KEYS, or SCOUT_ADMIN_KEYS_FILE, on the gateway.")
    gateway.admins.authenticate(request.headers.get(headers.AUTHORIZATION))
