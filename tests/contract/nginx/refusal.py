"""What every error of nginx itself looks like, whatever its status."""

from tests.contract.nginx.edge import Answer

RETRY_AFTER_S = {429: 2, 502: 5, 503: 5, 504: 10}


def assert_refused(answer: Answer, status: int, code: str) -> None:
    """OpenAI's shape, the right code, the request id once, and Retry-After where it helps."""
    assert answer.status == status, answer
    assert answer.one("content-type") == "application/json"
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["param"] is None
    assert error["message"].endswith(".")
    assert error["type"].endswith("_error")
    assert error["request_id"] == answer.one("x-request-id")
    retry_after = RETRY_AFTER_S.get(status)
    assert answer.all("retry-after") == ([] if retry_after is None else [str(retry_after)])
    assert error["retry_after"] == retry_after
    assert error["retryable"] is (retry_after is not None)
    assert answer.all("server") == ["nginx"]
