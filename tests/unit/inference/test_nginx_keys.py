import re
import stat
from pathlib import Path

import pytest

from inference.nginx_keys import (
    ClientKey,
    KeysInvalid,
    parse_client_keys,
    parse_engine_key,
    render_engine_key,
    render_keys_map,
    write_client_keys,
    write_engine_key,
)

KEY = "sk-0123456789abcdef"
OTHER = "sk-fedcba9876543210"


def test_a_line_is_a_key_or_a_name_and_a_key() -> None:
    text = f"# who may come in\n\n  gateway {KEY}\n{OTHER}\n"
    gateway, unnamed = parse_client_keys(text, "keys")
    assert gateway == ClientKey(name="gateway", key=KEY)
    assert unnamed.key == OTHER


def test_an_unnamed_key_keeps_its_name_when_lines_move() -> None:
    (alone,) = parse_client_keys(OTHER, "keys")
    _, second = parse_client_keys(f"{KEY}\n{OTHER}", "keys")
    assert alone == second
    assert re.fullmatch("key-[0-9a-f]{8}", alone.name)


def test_two_keys_may_share_a_name_while_a_client_changes_over() -> None:
    assert [each.name for each in parse_client_keys(f"gateway {KEY}\ngateway {OTHER}", "keys")] == ["gateway"] * 2


@pytest.mark.parametrize(
    "key",
    [
        pytest.param('sk-0123456789"; evil', id="quote and blank"),
        pytest.param('sk-0123456789abc";}', id="quote"),
        pytest.param("sk-0123456789abc;", id="semicolon"),
        pytest.param("sk-0123456789{abc}", id="braces"),
        pytest.param("sk-0123456789$abc", id="variable"),
        pytest.param("sk-0123456789\\abc", id="backslash"),
        pytest.param("sk-0123456789abc#x", id="comment"),
        pytest.param("sk-0123456789äbcd", id="not ASCII"),
        pytest.param("sk-0123456789.*(a|b)", id="regular expression"),
        pytest.param("sk-0123456789ab", id="15 characters"),
        pytest.param("s" * 257, id="257 characters"),
    ],
)
def test_a_key_that_could_break_out_of_the_file_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(KeysInvalid, match="keys, line 2") as refused:
        parse_client_keys(f"{KEY}\n{key}", "keys")
    assert key not in str(refused.value)
    with pytest.raises(KeysInvalid, match="engine, line 1"):
        parse_engine_key(key, "engine")


@pytest.mark.parametrize("key", ["A-Za-z0-9._~+/=-", "a" * 16, "z" * 256])
def test_every_character_of_a_token_is_allowed(key: str) -> None:
    assert parse_client_keys(key, "keys")[0].key == key
    assert parse_engine_key(key, "engine") == key


@pytest.mark.parametrize("name", ["gate;way", '"gateway"', "$key", "-gateway", "n" * 65, "{"])
def test_a_name_that_could_break_out_of_the_file_is_refused(name: str) -> None:
    with pytest.raises(KeysInvalid, match="keys, line 1: a name"):
        parse_client_keys(f"{name} {KEY}", "keys")


def test_the_same_key_twice_is_refused_by_the_first_ones_name() -> None:
    with pytest.raises(KeysInvalid, match="line 2: the key of gateway once more") as refused:
        parse_client_keys(f"gateway {KEY}\nworkshop {KEY}", "keys")
    assert KEY not in str(refused.value)


def test_a_third_word_is_refused() -> None:
    with pytest.raises(KeysInvalid, match="line 1: more than `name key`"):
        parse_client_keys(f"gateway {KEY} please", "keys")


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing yet\n"])
def test_a_file_without_a_key_is_refused(text: str) -> None:
    with pytest.raises(KeysInvalid, match="keys: no key"):
        parse_client_keys(text, "keys")
    with pytest.raises(KeysInvalid, match="engine: no key"):
        parse_engine_key(text, "engine")


def test_the_engines_key_is_the_first_of_its_file() -> None:
    assert parse_engine_key(f"# vLLM\n\n{KEY}\n{OTHER}\n", "engine") == KEY


def test_the_map_matches_each_key_exactly_and_the_scheme_in_any_case() -> None:
    text = render_keys_map([ClientKey(name="gateway", key="a.b+c/d=~-_0123456"), ClientKey(name="other", key=KEY)])
    patterns = dict(re.findall(r'^"~(.+)" (\S+);$', text, re.MULTILINE))
    assert list(patterns.values()) == ["gateway", "other"]
    (pattern, _) = patterns
    matches = re.compile(pattern).search
    assert matches("Bearer a.b+c/d=~-_0123456")
    assert matches("bearer a.b+c/d=~-_0123456")
    for wrong in ("a.b+c/d=~-_0123456x", "A.b+c/d=~-_0123456", "aXb+c/d=~-_0123456", "a.bbc/d=~-_0123456"):
        assert not matches(f"Bearer {wrong}")


def test_the_engines_key_becomes_the_authorization_header() -> None:
    assert f'\nproxy_set_header Authorization "Bearer {KEY}";\n' in render_engine_key(KEY)


def test_a_key_is_not_in_the_words_of_its_object() -> None:
    assert KEY not in repr(ClientKey(name="gateway", key=KEY))


def test_secrets_are_replaced_whole_and_are_their_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    write_client_keys(folder, [ClientKey(name="gateway", key=KEY)])
    (folder / "keys.map").chmod(0o644)
    write_client_keys(folder, [ClientKey(name="gateway", key=OTHER)])
    write_engine_key(folder, KEY)
    assert OTHER in (folder / "keys.map").read_text()
    assert KEY not in (folder / "keys.map").read_text()
    assert sorted(path.name for path in folder.iterdir()) == ["engine-key.conf", "keys.map"]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert (stat.S_IMODE(folder.stat().st_mode), modes) == (0o700, {0o600})
