"""OpenAPI: the doors that we serve ourselves are described here, since FastAPI does not see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared.errors import ErrorBody

_REF = "#/components/schemas/{model}"

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody} for status in (400, 401, 404, 413, 422, 429, 500, 502, 503, 504)
}
"""The statuses that every door may answer with besides 200."""


def json_body(schema: type[BaseModel]) -> dict[str, Any]:
    """The `openapi_extra` of a route whose body is `schema`."""
    content = {"application/json": {"schema": {"$ref": _REF.format(model=schema.__name__)}}}
    return {"requestBody": {"required": True, "content": content}, "security": [{"key": []}]}


@dataclass(frozen=True, slots=True)
class Described:
    """A door that the framework does not see: its path, in a line what it does, the schemas of its body and answer."""

    path: str
    tag: str
    summary: str
    body: type[BaseModel]
    answers: Mapping[str, dict[str, Any]]
    """Media type -> schema."""

    def operation(self) -> dict[str, Any]:
        """As OpenAPI writes it."""
        error = {"application/json": {"schema": {"$ref": _REF.format(model=ErrorBody.__name__)}}}
        responses: dict[str, Any] = {
            "200": {
                "description": "Successful Response",
                "content": {media: {"schema": schema} for media, schema in self.answers.items()},
            }
        }
        responses |= {str(status): {"description": "An error", "content": error} for status in ERRORS}
        return {"tags": [self.tag], "summary": self.summary, "responses": responses, **json_body(self.body)}


def describe(app: FastAPI, doors: Sequence[Described], answers: Sequence[type[BaseModel]]) -> None:
    """Adds the doors, the schemas of their bodies and `answers`, and the bearer key, to the app's OpenAPI document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            document.setdefault("paths", {}).update({door.path: {"post": door.operation()} for door in doors})
            models: list[type[BaseModel]] = [*(door.body for door in doors), *answers, ErrorBody]
            _, found = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
            components = document.setdefault("components", {})
            components.setdefault("schemas", {}).update(found["$defs"])
            components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
