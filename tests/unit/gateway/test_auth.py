"""Who is calling: the header as clients write it, and keys that never come back out."""

import hashlib

import pytest

from gateway.auth import Keyring, split_name
from gateway.errors import Unauthenticated

KEY, OTHER = "a-key-of-a-client-1", "a-key-of-a-client-2"


@pytest.mark.parametrize(
    "header",
    [f"Bearer {KEY}", f"bearer {KEY}", f"BEARER {KEY}", f"Bearer   {KEY}  "],
    ids=["as usual", "lower case", "upper case", "spaces around"],
)
def test_a_key_of_ours_lets_in(header: str) -> None:
    assert Keyring([KEY]).authenticate(header).key_id == hashlib.sha256(KEY.encode()).hexdigest()[:8]


def test_all_keys_are_valid_at_once_and_told_apart_in_logs() -> None:
    keys = Keyring([KEY, OTHER])
    callers = {keys.authenticate(f"Bearer {key}").key_id for key in (KEY, OTHER)}
    assert len(callers) == 2
    assert not any(key_id in KEY + OTHER for key_id in callers)


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer    ", KEY, f"Basic {KEY}", f"Token {KEY}", f"Bearer\t{KEY}"],
)
def test_without_a_bearer_key_the_answer_says_how_to_send_one(header: str | None) -> None:
    with pytest.raises(Unauthenticated, match="Authorization: Bearer <key>"):
        Keyring([KEY]).authenticate(header)


@pytest.mark.parametrize(
    "given",
    [KEY[:-1], KEY + "x", KEY.upper(), OTHER, f"{KEY},{OTHER}", f"{KEY} {OTHER}", "\xe9\xff", "\udcff", "\0"],
    ids=["too short", "too long", "other case", "unknown", "two", "two with a space", "latin-1", "bytes", "nul"],
)
def test_any_other_key_is_refused_without_being_repeated(given: str) -> None:
    with pytest.raises(Unauthenticated, match="not valid") as refused:
        Keyring([KEY]).authenticate(f"Bearer {given}")
    assert given not in refused.value.message
    assert refused.value.detail is None


def test_a_keyring_without_keys_lets_nobody_in() -> None:
    with pytest.raises(Unauthenticated, match="not valid"):
        Keyring([]).authenticate(f"Bearer {KEY}")


def test_a_keyring_does_not_keep_its_keys_in_the_clear() -> None:
    assert KEY not in repr(vars(Keyring([KEY])))


def test_a_key_with_a_name_belongs_to_the_tenant_of_that_name_and_so_does_its_successor() -> None:
    old, new = (
        Keyring([f"website:{key}"]).authenticate(f"Bearer {key}") for key in ("an-old-key-12345", "a-new-key-12345")
    )
    assert (old.tenant, new.tenant) == ("website", "website")
    assert old.key_id != new.key_id


def test_a_key_without_a_name_is_its_own_tenant() -> None:
    caller = Keyring(["a-key-without-a-name"]).authenticate("Bearer a-key-without-a-name")
    assert caller.tenant == caller.key_id


@pytest.mark.parametrize(
    ("written", "apart"),
    [
        ("website:the-key", ("website", "the-key")),
        ("the-key", ("", "the-key")),
        ("Website:the-key", ("", "Website:the-key")),
        ("9:the-key", ("", "9:the-key")),
        ("a:b:c", ("a", "b:c")),
    ],
)
def test_a_name_stands_before_a_colon(written: str, apart: tuple[str, str]) -> None:
    assert split_name(written) == apart


def test_the_name_is_no_part_of_the_key() -> None:
    with pytest.raises(Unauthenticated):
        Keyring(["website:the-key-itself"]).authenticate("Bearer website:the-key-itself")
