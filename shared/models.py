"""`GET /v1/models`: the models that can be asked for by name."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """One model. `created` is in seconds since the epoch."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(BaseModel):
    """All of them, as OpenAI's clients expect the list."""

    model_config = ConfigDict(extra="allow")

    object: Literal["list"] = "list"
    data: list[Model]
