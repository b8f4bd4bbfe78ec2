"""The keys of a prompt, and the index of who holds them."""

import random
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.affinity import (
    BLOCK_BYTES,
    ENTRY_BYTES,
    HOLDER_BYTES,
    MAX_BLOCKS,
    Index,
    PromptKeys,
    estimate_tokens,
    keys_of,
)

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""How fast a busy machine runs an example is no property of ours."""

ROOM = 1024 * 1024
ENTRY = ENTRY_BYTES + HOLDER_BYTES
LONG = "All our hybrids are on the east lot. " * 40


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def prompt(*keys: int) -> PromptKeys:
    """A prompt by its keys alone: the index looks at nothing else."""
    return PromptKeys(keys, len(keys) * BLOCK_BYTES)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
texts = st.text(max_size=60) | st.builds(lambda text, times: text * times, st.text(max_size=30), st.integers(1, 80))
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": texts | json_values},
    optional={"tool_calls": json_values, "tool_call_id": st.text(max_size=8), "name": st.text(max_size=8)},
)
conversations = st.lists(messages, max_size=5)


@UNTIMED
@given(conversations, conversations, st.none() | json_values)
def test_a_conversation_that_grows_keeps_its_keys(
    before: list[dict[str, Any]], after: list[dict[str, Any]], tools: Any
) -> None:
    shorter, longer = keys_of("t", before, tools), keys_of("t", before + after, tools)
    assert longer.keys[: len(shorter.keys)] == shorter.keys
    assert longer.total_bytes >= shorter.total_bytes


@UNTIMED
@given(conversations, st.text(max_size=8), st.text(max_size=8))
def test_different_tenants_share_no_key(talk: list[dict[str, Any]], one: str, other: str) -> None:
    long = [*talk, user(LONG)]
    shared = set(keys_of(one, long).keys) & set(keys_of(other, long).keys)
    assert bool(shared) == (one == other)


@UNTIMED
@given(conversations, st.none() | json_values)
def test_every_whole_block_has_a_key_and_the_rest_has_none(talk: list[dict[str, Any]], tools: Any) -> None:
    keys = keys_of("t", talk, tools)
    assert len(keys.keys) == min(keys.total_bytes // BLOCK_BYTES, MAX_BLOCKS)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(user("yes"), user("no"), id="content"),
        pytest.param(user("yes"), {"role": "assistant", "content": "yes"}, id="role"),
        pytest.param(user("yes"), {**user("yes"), "name": "Ann"}, id="name"),
        pytest.param({"role": "tool", "content": "1"}, {"role": "tool", "content": "2"}, id="tool result"),
        pytest.param(
            {"role": "tool", "content": "1", "tool_call_id": "a"},
            {"role": "tool", "content": "1", "tool_call_id": "b"},
            id="which tool call",
        ),
        pytest.param(
            {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
            {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "g", "arguments": "{}"}}]},
            id="tool calls",
        ),
        pytest.param(
            {"role": "user", "content": [{"type": "text", "text": "a"}]},
            {"role": "user", "content": [{"type": "text", "text": "b"}]},
            id="content in parts",
        ),
    ],
)
def test_whatever_the_model_reads_makes_a_difference(one: dict[str, Any], other: dict[str, Any]) -> None:
    after = user(LONG)
    assert not set(keys_of("t", [one, after]).keys) & set(keys_of("t", [other, after]).keys)


def test_tools_come_before_the_messages() -> None:
    tools = [{"type": "function", "function": {"name": "find", "description": LONG}}]
    one, other = keys_of("t", [user("yes")], tools), keys_of("t", [user("no")], tools)
    assert one.keys == other.keys != ()
    assert not set(one.keys) & set(keys_of("t", [user("yes"), user(LONG)]).keys)


def test_fields_that_no_template_reads_make_no_difference() -> None:
    echoed: dict[str, Any] = {"content": LONG, "refusal": None, "annotations": [], "role": "assistant", "name": None}
    assert keys_of("t", [echoed]) == keys_of("t", [{"role": "assistant", "content": LONG}])


def test_half_a_surrogate_pair_is_taken() -> None:
    assert keys_of("t\ud800", [user(LONG + "\ud800")]).keys


def test_a_prompt_without_end_is_hashed_only_so_far() -> None:
    whole = MAX_BLOCKS * BLOCK_BYTES
    long, longer = keys_of("t", [user("x" * whole)]), keys_of("t", [user("x" * whole + "y" * whole)])
    assert long.keys == longer.keys
    assert len(long.keys) == MAX_BLOCKS
    assert longer.total_bytes - long.total_bytes == whole


def test_keys_are_64_bits() -> None:
    keys = keys_of("t", [user("x" * 200 * BLOCK_BYTES)]).keys
    assert len(set(keys)) == 200
    assert 2**60 < max(keys) < 2**64


@pytest.mark.parametrize(("total_bytes", "tokens"), [(0, 0), (1, 1), (4, 1), (8, 2), (4096, 1024)])
def test_tokens_are_estimated_from_bytes(total_bytes: int, tokens: int) -> None:
    assert estimate_tokens(total_bytes) == tokens


def test_an_empty_index_knows_of_nobody() -> None:
    index = Index(ROOM)
    assert index.held(prompt(1, 2), ["a", "b"]) == {"a": 0, "b": 0}
    assert (len(index), index.size_bytes) == (0, 0)


def test_a_replica_holds_what_it_has_computed() -> None:
    index = Index(ROOM)
    index.learn(prompt(1, 2, 3), "a")
    assert index.held(prompt(1, 2, 3, 4, 5), ["a", "b"]) == {"a": 3 * BLOCK_BYTES, "b": 0}


def test_a_replica_holds_the_part_that_two_prompts_share() -> None:
    index = Index(ROOM)
    index.learn(prompt(1, 2, 3), "a")
    assert index.held(prompt(1, 2, 33, 44), ["a"]) == {"a": 2 * BLOCK_BYTES}


def test_several_replicas_hold_the_same_prefix_to_different_lengths() -> None:
    index = Index(ROOM)
    index.learn(prompt(1, 2), "a")
    index.learn(prompt(1, 2, 3, 4), "b")
    index.learn(prompt(1, 2), "b")
    assert index.held(prompt(1, 2, 3, 4), ["a", "b"]) == {"a": 2 * BLOCK_BYTES, "b": 4 * BLOCK_BYTES}
    assert index.size_bytes == 4 * ENTRY + 2 * HOLDER_BYTES


def test_only_the_replicas_asked_for_are_told() -> None:
    index = Index(ROOM)
    index.learn(prompt(1), "a")
    assert index.held(prompt(1), ["b"]) == {"b": 0}


def test_learning_again_changes_nothing() -> None:
    index = Index(ROOM)
    index.learn(prompt(1, 2), "a")
    index.learn(prompt(1, 2), "a")
    assert (len(index), index.size_bytes) == (2, 2 * ENTRY)


def test_a_replica_that_started_anew_holds_only_what_came_since() -> None:
    index = Index(ROOM)
    index.learn(prompt(1, 2, 3), "a")
    index.learn(prompt(1, 2, 3), "b")
    index.forget("a")
    assert index.held(prompt(1, 2, 3), ["a", "b"]) == {"a": 0, "b": 3 * BLOCK_BYTES}
    index.learn(prompt(1), "a")
    assert index.held(prompt(1, 2, 3), ["a", "b"]) == {"a": BLOCK_BYTES, "b": 3 * BLOCK_BYTES}


def test_former_lives_take_no_room_for_long() -> None:
    index = Index(ROOM)
    for _ in range(5):
        index.learn(prompt(1), "a")
        index.forget("a")
    assert index.size_bytes == ENTRY


def test_forgetting_a_replica_that_holds_nothing_is_nothing() -> None:
    index = Index(ROOM)
    index.learn(prompt(1), "a")
    index.forget("b")
    assert index.held(prompt(1), ["a"]) == {"a": BLOCK_BYTES}


def test_the_least_recently_used_prompt_goes_first() -> None:
    index = Index(4 * ENTRY)
    index.learn(prompt(1, 2), "a")
    index.learn(prompt(11, 12), "a")
    index.learn(prompt(1, 2), "a")
    index.learn(prompt(21, 22), "a")
    assert index.held(prompt(1, 2), ["a"]) == {"a": 2 * BLOCK_BYTES}
    assert index.held(prompt(11, 12), ["a"]) == {"a": 0}


def test_the_end_of_a_prompt_goes_before_its_beginning() -> None:
    index = Index(4 * ENTRY)
    index.learn(prompt(1, 2, 3), "a")
    index.learn(prompt(11, 12), "a")
    assert index.held(prompt(1, 2, 3), ["a"]) == {"a": 2 * BLOCK_BYTES}


def test_of_a_prompt_larger_than_the_index_the_beginning_stays() -> None:
    index = Index(3 * ENTRY)
    index.learn(prompt(*range(10)), "a")
    assert index.held(prompt(*range(10)), ["a"]) == {"a": 3 * BLOCK_BYTES}


paths = st.lists(st.integers(0, 2), max_size=6).map(
    # A tree of prompts: a key says how one has come to it, as the real ones do.
    lambda path: prompt(*(hash(tuple(path[: n + 1])) for n in range(len(path))))
)
steps = st.lists(
    st.tuples(st.just("learn"), paths, st.sampled_from("abc"))
    | st.tuples(st.just("forget"), paths, st.sampled_from("abc")),
    max_size=40,
)


@UNTIMED
@given(steps, st.integers(0, 30 * ENTRY))
def test_the_index_never_exceeds_its_bound_and_never_makes_up_a_holder(
    todo: list[tuple[str, PromptKeys, str]], max_bytes: int
) -> None:
    index = Index(max_bytes)
    computed: dict[str, set[int]] = {name: set() for name in "abc"}
    for what, keys, replica in todo:
        if what == "learn":
            index.learn(keys, replica)
            computed[replica] |= set(keys.keys)
        else:
            index.forget(replica)
            computed[replica].clear()
        assert len(index) * ENTRY <= index.size_bytes <= max_bytes
        for name, held in index.held(keys, "abc").items():
            assert set(keys.keys[: held // BLOCK_BYTES]) <= computed[name]


@UNTIMED
@given(steps)
def test_an_index_with_room_forgets_nothing(todo: list[tuple[str, PromptKeys, str]]) -> None:
    index = Index(ROOM)
    computed: dict[str, set[int]] = {name: set() for name in "abc"}
    for what, keys, replica in todo:
        if what == "learn":
            index.learn(keys, replica)
            computed[replica] |= set(keys.keys)
        else:
            index.forget(replica)
            computed[replica].clear()
        expected = {name: sum(key in computed[name] for key in keys.keys) * BLOCK_BYTES for name in "abc"}
        assert index.held(keys, "abc") == expected


@pytest.mark.parametrize("max_bytes", [ROOM, 3 * ROOM // 2])
def test_the_index_takes_no_more_memory_than_it_says(max_bytes: int) -> None:
    chance = random.Random(1)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        index = Index(max_bytes)
        for _ in range(2 * max_bytes // ENTRY):  # twice what fits: the hash table is larger when entries come and go
            index.learn(prompt(chance.getrandbits(64)), "a")
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert index.size_bytes > max_bytes - ENTRY
    assert index.size_bytes / 2 < after - before <= index.size_bytes
