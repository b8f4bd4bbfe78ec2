"""The error body that every door of Scout answers with: OpenAI's shape, and three fields more.

The extra fields repeat what the headers say, because some clients pass on the body alone.
"""

from pydantic import BaseModel, ConfigDict


class ErrorDetail(BaseModel):
    """What went wrong. `code` comes from a closed set; `param` names the field of the request at fault."""

    model_config = ConfigDict(extra="allow")

    message: str
    type: str
    param: str | None = None
    code: str | None = None
    request_id: str | None = None
    retryable: bool | None = None
    retry_after: int | None = None


class ErrorBody(BaseModel):
    """The whole body: `{"error": {...}}`."""

    error: ErrorDetail
