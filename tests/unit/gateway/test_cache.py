"""The cache: what is the same question, what may be kept, and that nobody sees what is not his."""

import itertools
import tracemalloc
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache import AnswerCache, CachedAnswer, Key, key_of, normalise, storable

TTL_S = 60.0
MAX_BYTES = 4000


def key(
    message: str = "any suvs",
    tenant: str = "a",
    inventory: int = 1,
    prompt: str = "p1",
    route: str = "inventory.search",
) -> Key:
    return key_of(tenant, route, prompt, inventory, message)


def answer(text: str = "Two.", at: float = 0.0) -> CachedAnswer:
    return CachedAnswer(text, "on-prem", at, "stop", {"completion_tokens": 2})


def cache(max_bytes: int = 100_000, max_entry_bytes: int = 10_000) -> AnswerCache:
    return AnswerCache(max_bytes, max_entry_bytes)


# ---- what is the same question


@pytest.mark.parametrize(
    "written",
    [
        "hi",
        "HI",
        "Hi!!",
        "hi ?!",
        "  hi\t\n",
        "\N{INVERTED EXCLAMATION MARK}Hi!",
        "\N{FULLWIDTH LATIN SMALL LETTER H}i\N{FULLWIDTH EXCLAMATION MARK}",
        "hi\N{HORIZONTAL ELLIPSIS}",
        "hi\N{IDEOGRAPHIC FULL STOP}",
        "\N{NO-BREAK SPACE}hi",
    ],
)
def test_what_changes_no_meaning_is_left_out(written: str) -> None:
    assert normalise(written) == "hi"


def test_letters_are_compared_without_case_and_however_they_are_typed() -> None:
    assert normalise("Qui\u00e9n  ESTA\u0301") == normalise("quie\u0301n est\u00e1")
    assert normalise("What\u2019s up?") == normalise("what's up")
    assert normalise("Gr\u00fc\u00df dich") == normalise("GR\u00dcSS DICH")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("under 30k", "under 20k"),
        ("a cx-5", "a cx 5"),
        ("is it 3.5 l", "is it 35 l"),
        ("has it a tow bar", "has it no tow bar"),
        ("do you sell it", "don't you sell it"),
        ("$5", "5"),
        ("50%", "50"),
        (".5", "5"),
        ("-5", "5"),
        ("2019-", "2019"),
        ("~30k", "30k"),
        ('wheels of 20"', "wheels of 20"),
        ("great :)", "great :("),
        ("5\N{SUPERSCRIPT TWO}", "52"),
        ("1\N{VULGAR FRACTION ONE HALF}", "11/2"),
        ("?", "!"),
        ("?", ""),
        ("yes", "yes, but"),
    ],
)
def test_what_may_change_the_meaning_stays(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@given(st.text(max_size=30))
def test_a_normalised_message_is_its_own_normal_form(message: str) -> None:
    assert normalise(normalise(message)) == normalise(message)


# ---- what is found


def test_an_answer_is_fresh_for_as_long_as_its_route_says() -> None:
    kept = cache()
    kept.store(key(), answer())
    assert kept.fresh(key("Any SUVs?"), 59.9, TTL_S) == answer()
    assert kept.fresh(key(), 60.0, TTL_S) is None
    assert kept.fresh(key(), 0.0, 0.0) is None


def test_an_answer_of_the_future_is_none_since_the_clock_was_set_back() -> None:
    kept = cache()
    kept.store(key(), answer(at=10.0))
    assert kept.fresh(key(), 9.0, TTL_S) is None
    assert kept.stale(key(), 9.0, TTL_S) is None


@pytest.mark.parametrize(
    "other", [key(tenant="b"), key(route="s"), key(prompt="p2"), key(inventory=2), key(inventory=0), key("any trucks")]
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
    assert kept.stale(key(inventory=2), 1.0, 600.0) is None
    assert kept.stale(key(inventory=2), 1.0, 600.0, any_inventory=True) == answer()
    for other in (key(tenant="b"), key(route="s"), key(prompt="p2"), key("any trucks")):
        assert kept.stale(other, 1.0, 600.0, any_inventory=True) is None


def test_a_newer_answer_takes_the_place_of_the_one_about_the_older_stock() -> None:
    kept = cache()
    kept.store(key(), answer("Two."))
    kept.store(key(inventory=2), answer("One."))
    assert len(kept) == 1
    assert kept.fresh(key(), 0.0, TTL_S) is None
    assert kept.fresh(key(inventory=2), 0.0, TTL_S) == answer("One.")


def test_an_answer_that_was_begun_before_the_stock_changed_does_not_displace_a_newer_one() -> None:
    kept = cache()
    kept.store(key(inventory=2), answer("One."))
    kept.store(key(inventory=1), answer("Two.", at=5.0))
    assert kept.fresh(key(inventory=2), 5.0, TTL_S) == answer("One.")


# ---- how much is kept


def one_entry() -> int:
    kept = cache()
    kept.store(key("a"), answer())
    return kept.bytes


@pytest.mark.parametrize("stale", [False, True], ids=["fresh", "stale"])
def test_the_least_recently_used_goes_first(stale: bool) -> None:
    kept = cache(max_bytes=3 * one_entry())
    for message in ("a", "b", "c"):
        kept.store(key(message), answer())
    found = kept.stale(key("a"), 0.0, TTL_S) if stale else kept.fresh(key("a"), 0.0, TTL_S)
    assert found is not None
    kept.store(key("d"), answer())
    assert [message for message in "abcd" if kept.fresh(key(message), 0.0, TTL_S)] == ["a", "c", "d"]


def test_what_is_too_old_or_of_another_stock_is_not_kept_for_having_been_asked_for() -> None:
    kept = cache(max_bytes=2 * one_entry())
    kept.store(key("a"), answer())
    kept.store(key("b"), answer())
    assert kept.fresh(key("a"), 60.0, TTL_S) is None
    assert kept.fresh(key("a", inventory=2), 0.0, TTL_S) is None
    kept.store(key("c"), answer())
    assert kept.fresh(key("a"), 0.0, TTL_S) is None


def test_storing_the_same_again_takes_no_more_room() -> None:
    kept = cache()
    for _ in range(3):
        kept.store(key("a"), answer())
    assert (len(kept), kept.bytes) == (1, one_entry())


def test_what_is_too_long_is_not_kept_and_displaces_nothing() -> None:
    kept = cache(max_entry_bytes=one_entry() + 10)
    kept.store(key("a"), answer())
    kept.store(key("a"), answer("Two." + "x" * 11, at=5.0))
    kept.store(key("b"), answer("Two." + "x" * 11))
    assert kept.fresh(key("a"), 5.0, TTL_S) == answer()
    assert (len(kept), kept.bytes) == (1, one_entry())


def test_nothing_is_kept_that_is_longer_than_all_of_the_room() -> None:
    kept = AnswerCache(one_entry() - 1, 10_000)
    kept.store(key("a"), answer())
    assert (len(kept), kept.bytes) == (0, 0)


@pytest.mark.parametrize("count", [1, 22, 683, 5462], ids="{} entries".format)
def test_the_bytes_are_no_less_than_what_is_really_taken(count: int) -> None:
    tracemalloc.start()
    try:
        kept = cache(max_bytes=100_000_000)
        before = tracemalloc.get_traced_memory()[0]
        for number in range(count):
            usage = {name: 1000 + number for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
            where = key(f"\N{CHEQUERED FLAG} {number}", f"tenant {number}", 1, f"prompt {number}", f"route {number}")
            kept.store(
                where, CachedAnswer(f"{number} \N{AUTOMOBILE}" * 20, f"tier {number}", float(number), "stop", usage)
            )
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(kept) == count
    assert taken <= kept.bytes <= 2 * taken


def test_a_tenant_can_be_forgotten() -> None:
    kept = cache()
    kept.store(key(), answer())
    kept.store(key("any trucks"), answer())
    kept.store(key(tenant="b"), answer())
    kept.forget_tenant("a")
    assert kept.fresh(key(), 0.0, TTL_S) is None
    assert kept.fresh(key(tenant="b"), 0.0, TTL_S) == answer()
    kept.forget_tenant("b")
    assert (len(kept), kept.bytes) == (0, 0)


# ---- what may be kept

GOOD: dict[str, Any] = {
    "first_turn": True,
    "sensitive": False,
    "route_ttl_s": 60.0,
    "temperature": 0.2,
    "max_temperature": 0.3,
    "outcome_ok": True,
    "resumed": False,
    "finish_reason": "stop",
    "changed": False,
    "tools_failed": False,
}
BAD: list[tuple[str, Any]] = [
    ("first_turn", False),
    ("sensitive", True),
    ("route_ttl_s", 0.0),
    ("temperature", 0.4),
    ("outcome_ok", False),
    ("resumed", True),
    ("finish_reason", "length"),
    ("finish_reason", "tool_calls"),
    ("finish_reason", None),
    ("changed", True),
    ("tools_failed", True),
]


def test_a_faultless_answer_for_everybody_may_be_kept() -> None:
    assert storable(**GOOD)
    assert storable(**{**GOOD, "temperature": 0.3})


@pytest.mark.parametrize("faults", [*itertools.combinations(BAD, 1), *itertools.combinations(BAD, 2)])
def test_each_single_thing_that_is_wrong_keeps_it_out(faults: tuple[tuple[str, Any], ...]) -> None:
    assert not storable(**{**GOOD, **dict(faults)})


# ---- whatever happened before


@dataclass(frozen=True)
class Step:
    """Something that is done with the cache: a store, unless it is a look or the forgetting of the key's tenant."""

    what: str
    key: Key
    at: int
    length: int


KEYS = st.builds(
    Key,
    tenant=st.sampled_from(["a", "b", "a|r", ""]) | st.text(max_size=3),
    route=st.sampled_from(["r", "s", "|r"]),
    prompt_version=st.sampled_from(["p1", "p2"]),
    inventory_version=st.integers(1, 3),
    message=st.sampled_from(["hi", "any suvs", ""]),
)
STEPS = st.lists(
    st.builds(
        Step,
        what=st.sampled_from(["store", "store", "look", "forget"]),
        key=KEYS,
        at=st.integers(0, 200),
        length=st.sampled_from([0, 300, 2000, 5000]),
    ),
    max_size=40,
)


def after(steps: list[Step]) -> tuple[AnswerCache, dict[str, tuple[Key, int]]]:
    """The cache after these steps, and under each answer's text for what key and when it was stored."""
    kept, origin = AnswerCache(MAX_BYTES, MAX_BYTES), dict[str, tuple[Key, int]]()
    for number, step in enumerate(steps):
        if step.what == "store":
            text = f"{number} {'x' * step.length}"
            origin[text] = (step.key, step.at)
            kept.store(step.key, answer(text, float(step.at)))
        elif step.what == "forget":
            kept.forget_tenant(step.key.tenant)
        else:
            kept.fresh(step.key, float(step.at), TTL_S)
        assert 0 <= kept.bytes <= MAX_BYTES
        assert (kept.bytes == 0) == (len(kept) == 0)
    return kept, origin


@given(STEPS, st.lists(KEYS, max_size=20))
def test_one_tenant_never_sees_anothers_entry(steps: list[Step], others: list[Key]) -> None:
    kept, origin = after(steps)
    for asked in [*others, *(step.key for step in steps)]:
        for found in (kept.fresh(asked, 200.0, 1000.0), kept.stale(asked, 200.0, 1000.0, any_inventory=True)):
            if found is not None:
                assert origin[found.text][0].tenant == asked.tenant


@given(STEPS, KEYS, st.integers(0, 200))
def test_a_fresh_answer_is_young_and_for_exactly_what_was_asked(steps: list[Step], other: Key, now: int) -> None:
    kept, origin = after(steps)
    for asked in [other, *(step.key for step in steps)]:
        if (found := kept.fresh(asked, float(now), TTL_S)) is not None:
            stored_for, stored_at = origin[found.text]
            assert stored_for == asked
            assert 0 <= now - stored_at < TTL_S


@given(STEPS, KEYS, st.integers(0, 200))
def test_a_stale_answer_differs_from_what_was_asked_by_its_stock_at_most(
    steps: list[Step], other: Key, now: int
) -> None:
    kept, origin = after(steps)
    for asked in [other, *(step.key for step in steps)]:
        if (found := kept.stale(asked, float(now), 120.0)) is not None:
            assert origin[found.text][0] == asked
        if (found := kept.stale(asked, float(now), 120.0, any_inventory=True)) is not None:
            stored_for, stored_at = origin[found.text]
            assert replace(stored_for, inventory_version=asked.inventory_version) == asked
            assert 0 <= now - stored_at < 120.0


@given(st.lists(KEYS, min_size=1, max_size=10))
def test_what_was_stored_last_is_found(keys: list[Key]) -> None:
    kept = cache()
    for number, asked in enumerate(keys):
        kept.store(asked, answer(str(number)))
    newest = replace(keys[-1], inventory_version=9)
    kept.store(newest, answer("last"))
    assert kept.fresh(newest, 0.0, TTL_S) == answer("last")
