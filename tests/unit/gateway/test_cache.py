"""The cache: what is the same question, what may be kept, and that nobody sees what is not his."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cache import AnswerCache, CachedAnswer, Key, key_of, normalise, storable

TTL_S = 60.0


def key(message: str = "any suvs", tenant: str = "a", stock: int = 1, prompt: str = "p1", route: str = "r") -> Key:
    return key_of(tenant, route, prompt, stock, message)


def answer(text: str = "Two.", at: float = 0.0) -> CachedAnswer:
    return CachedAnswer(text, "on-prem", at)


def cache(max_bytes: int = 100_000, max_entry_bytes: int = 10_000) -> AnswerCache:
    return AnswerCache(max_bytes, max_entry_bytes)


@pytest.mark.parametrize(
    "written", ["hi", "HI", "Hi!!", "  hi ", "¡Hi!", "\N{FULLWIDTH LATIN SMALL LETTER H}i", "hi…", '"Hi."']
)
def test_what_changes_no_meaning_is_left_out(written: str) -> None:
    assert normalise(written) == "hi"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("under 30k", "under 20k"),
        ("a cx-5", "a cx 5"),
        ("is it 3.5 l", "is it 35 l"),
        ("has it a tow bar", "has it no tow bar"),
        ("$5", "5"),
        ("50%", "50"),
    ],
)
def test_what_may_change_the_meaning_stays(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


def test_an_answer_is_fresh_for_as_long_as_its_route_says() -> None:
    kept = cache()
    kept.store(key(), answer())
    assert kept.fresh(key("Any SUVs?"), 59.9, TTL_S) == answer()
    assert kept.fresh(key(), 60.0, TTL_S) is None
    assert kept.fresh(key(), 0.0, 0.0) is None


@pytest.mark.parametrize(
    "other",
    [
        key(tenant="b"),
        key(route="s"),
        key(prompt="p2"),
        key(stock=2),
        key("any trucks"),
    ],
)
def test_an_answer_is_for_its_own_question_tenant_instructions_and_stock(other: Key) -> None:
    kept = cache()
    kept.store(key(), answer())
    assert kept.fresh(other, 0.0, TTL_S) is None


def test_a_stale_answer_is_there_when_all_else_fails_unless_it_is_of_another_stock() -> None:
    kept = cache()
    kept.store(key(), answer())
    assert kept.stale(key(), 500.0, 600.0) == answer()
    assert kept.stale(key(), 600.0, 600.0) is None
    assert kept.stale(key(stock=2), 1.0, 600.0) is None
    assert kept.stale(key(stock=2), 1.0, 600.0, any_stock=True) == answer()
    assert kept.stale(key(tenant="b"), 1.0, 600.0, any_stock=True) is None


def test_a_newer_answer_takes_the_place_of_the_one_about_the_older_stock() -> None:
    kept = cache()
    kept.store(key(), answer("Two."))
    kept.store(key(stock=2), answer("One."))
    assert len(kept) == 1
    assert kept.fresh(key(), 0.0, TTL_S) is None
    assert kept.fresh(key(stock=2), 0.0, TTL_S) == answer("One.")


def test_the_least_recently_used_goes_first() -> None:
    size = 700
    kept = cache(max_bytes=3 * size)
    for message in ("a", "b", "c"):
        kept.store(key(message), answer("x" * 50))
    assert kept.fresh(key("a"), 0.0, TTL_S) is not None
    kept.store(key("d"), answer("x" * 50))
    assert kept.fresh(key("b"), 0.0, TTL_S) is None
    assert kept.fresh(key("a"), 0.0, TTL_S) is not None


@pytest.mark.parametrize("bounds", [(100_000, 3), (500, 100)])
def test_what_is_too_long_is_not_kept_and_replaces_what_was(bounds: tuple[int, int]) -> None:
    kept = AnswerCache(*bounds)
    kept.store(key(), answer("Four"))
    assert (len(kept), kept.bytes) == (0, 0)


def test_a_tenant_can_be_forgotten() -> None:
    kept = cache()
    kept.store(key(), answer())
    kept.store(key(tenant="b"), answer())
    kept.forget_tenant("a")
    assert kept.fresh(key(), 0.0, TTL_S) is None
    assert kept.fresh(key(tenant="b"), 0.0, TTL_S) == answer()


GOOD: dict[str, Any] = {
    "first_turn": True,
    "sensitive": False,
    "ttl_s": 60.0,
    "temperature": 0.2,
    "max_temperature": 0.3,
    "whole": True,
    "resumed": False,
    "finish_reason": "stop",
    "changed": False,
    "tools_failed": False,
}
BAD: dict[str, Any] = {
    "first_turn": False,
    "sensitive": True,
    "ttl_s": 0.0,
    "temperature": 0.4,
    "whole": False,
    "resumed": True,
    "finish_reason": "length",
    "changed": True,
    "tools_failed": True,
}


def test_a_faultless_answer_for_everybody_may_be_kept() -> None:
    assert storable(**GOOD)
    assert storable(**{**GOOD, "temperature": 0.3})


@pytest.mark.parametrize("names", [*itertools.combinations(BAD, 1), *itertools.combinations(BAD, 2)])
def test_each_single_thing_that_is_wrong_keeps_it_out(names: tuple[str, ...]) -> None:
    assert not storable(**{**GOOD, **{name: BAD[name] for name in names}})


TENANTS, MESSAGES = st.sampled_from("abc"), st.sampled_from(["hi", "any suvs", "x" * 300])
STORE = st.tuples(st.just("store"), TENANTS, MESSAGES, st.integers(1, 3), st.integers(0, 200))
FORGET = st.tuples(st.just("forget"), TENANTS, MESSAGES, st.integers(1, 3), st.integers(0, 200))
LOOK = st.tuples(st.just("look"), TENANTS, MESSAGES, st.integers(1, 3), st.integers(0, 200))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(STORE, FORGET, LOOK), max_size=40))
def test_nobody_ever_sees_what_is_anothers_outdated_or_of_another_stock(
    operations: list[tuple[str, str, str, int, int]],
) -> None:
    kept = cache(max_bytes=4000)
    for what, tenant, message, stock, at in operations:
        asked = key(message, tenant=tenant, stock=stock)
        if what == "store":
            kept.store(asked, answer(f"{tenant}|{stock}|{asked.message}|{at}", float(at)))
        elif what == "forget":
            kept.forget_tenant(tenant)
        assert 0 <= kept.bytes <= 4000
        now = float(at)
        for found, any_stock in (
            (kept.fresh(asked, now, TTL_S), False),
            (kept.stale(asked, now, 120.0), False),
            (kept.stale(asked, now, 120.0, any_stock=True), True),
        ):
            if found is not None:
                whose, of_stock, of_message, stored_at = found.text.split("|")
                assert (whose, of_message) == (tenant, asked.message)
                assert any_stock or int(of_stock) == stock
                assert now - float(stored_at) < 120.0
        if (fresh := kept.fresh(asked, now, TTL_S)) is not None:
            assert now - fresh.stored_at < TTL_S
