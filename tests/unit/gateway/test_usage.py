"""A row has the counts of an upstream's usage, and none of its nonsense."""

from gateway.usage import Usage


def test_counts_are_taken_from_the_usage_and_what_is_none_is_left_out() -> None:
    row = Usage.of(
        {"prompt_tokens": 5, "completion_tokens": "many", "prompt_tokens_details": {"cached_tokens": 3}},
        at=1.0,
        tenant="a",
        request_id="r",
        endpoint="chat",
        route="x",
        tier="openai",
        model="m",
        outcome="ok",
        cost_micros=7,
        estimated=False,
        duration_s=0.5,
    )
    assert (row.prompt_tokens, row.completion_tokens, row.cached_tokens, row.cost_micros) == (5, 0, 3, 7)
