"""The closed set of ways to fail: what clients, metrics and logs may rely on."""

import pytest

from gateway.errors import GatewayError

LEAVES = [leaf for leaf in GatewayError.__subclasses__() if leaf.__module__ == "gateway.errors"]
RETRYABLE = {
    *("overloaded", "queue_full", "draining", "store_unavailable", "conversation_busy"),
    *("upstream_lost", "upstream_protocol_error", "upstream_timeout", "upstream_unavailable"),
}
FAULTS = {
    "invalid_request_error": range(400, 423),
    "authentication_error": [401],
    "client_error": [499],
    "conflict_error": [409],
    "upstream_error": range(502, 505),
    "overloaded_error": [429, 503],
    "deadline_error": [504],
    "server_error": [500, 503],
}


def test_the_set_is_flat_so_that_each_failure_is_one_code() -> None:
    narrower = [
        (leaf, kind) for leaf in LEAVES for kind in leaf.__subclasses__()
    ]  # for us to tell apart, as in admission
    assert [kind for leaf, kind in narrower if kind.__module__ == "gateway.errors" or kind.code != leaf.code] == []


def test_no_two_failures_share_a_code() -> None:
    codes = [leaf.code for leaf in LEAVES]
    assert len(codes) == len(set(codes))


def test_trying_again_is_promised_only_where_it_may_help() -> None:
    assert {leaf.code for leaf in LEAVES if leaf.retryable} == RETRYABLE


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.code)
class TestEveryFailure:
    def test_states_its_constants_and_has_no_logic(self, leaf: type[GatewayError]) -> None:
        stated = {name for name in vars(leaf) if not name.startswith("__")}
        assert {"status", "code", "type"} <= stated <= {"status", "code", "type", "retryable"}
        assert "__init__" not in vars(leaf)

    def test_has_a_status_that_fits_whose_fault_it_is(self, leaf: type[GatewayError]) -> None:
        assert leaf.status in FAULTS[leaf.type]

    def test_says_in_words_what_it_means(self, leaf: type[GatewayError]) -> None:
        assert leaf.__doc__

    def test_carries_what_it_is_given(self, leaf: type[GatewayError]) -> None:
        error = leaf("What to do.", param="model", retry_after_s=2, detail="for us")
        assert str(error) == error.message == "What to do."
        assert (error.param, error.retry_after_s, error.detail, error.spent) == ("model", 2, "for us", False)
