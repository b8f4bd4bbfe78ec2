"""The operator's door: is it alive, is it ready, what does it count. Open to whoever can reach the port.

None of the three tells anything of a client; nginx, or the load balancer in front, decides who can reach them.
"""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from gateway.api.admin import shown
from gateway.api.state import TheGateway
from gateway.metrics import Metrics


def routes(metrics: Metrics) -> APIRouter:
    """The routes of this door."""
    router = APIRouter(tags=["operations"])

    @router.get("/livez", summary="200 while the process runs")
    async def livez() -> dict[str, str]:
        return {"status": "live"}

    @router.get("/readyz", summary="200 while at least one replica takes traffic, else 503; why is in the body")
    async def readyz(gateway: TheGateway) -> JSONResponse:
        ready = gateway.pool.ready and not gateway.ending.begun
        body = {
            "status": "draining" if gateway.ending.begun else "ready" if ready else "not ready",
            "replicas": shown(gateway.pool, gateway.clock()),
            "site": {"down": gateway.pool.site.down, "reason": gateway.pool.site.text},
            "link": gateway.paths(),
        }
        return JSONResponse(body, 200 if ready else 503)

    @router.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def scrape(request: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router
