import pytest

from infra.tailscale.policy import PolicyError, parse

SMALL = """{
  "groups": {"group:ops": ["a@example.com"]},
  "tagOwners": {"tag:a": ["group:ops"], "tag:b": ["group:ops"]},
  "grants": [
    {"src": ["tag:a"], "dst": ["tag:b"], "ip": ["tcp:80-82", "udp:53"]},
    {"src": ["tag:a"], "dst": ["tag:b"], "ip": ["tcp:443"]},
  ],
  "tests": [{"src": "tag:a", "proto": "tcp", "accept": ["tag:b:80"]}],
}"""


def test_grants_add_up_per_protocol() -> None:
    policy = parse(SMALL)
    assert policy.reachable("tag:a", "tag:b", "tcp") == {80, 81, 82, 443}
    assert policy.reachable("tag:a", "tag:b", "udp") == {53}


def test_a_grant_does_not_work_backwards_or_for_anybody_else() -> None:
    policy = parse(SMALL)
    assert policy.reachable("tag:b", "tag:a", "tcp") == frozenset()
    assert policy.reachable("group:ops", "tag:b", "tcp") == frozenset()


def test_comments_and_trailing_commas_are_read_and_slashes_in_strings_are_kept() -> None:
    text = SMALL.replace("a@example.com", "a//b,]@example.com").replace('"grants"', '/* a, } */ "grants" /**/')
    assert parse(text + " // end").groups == {"group:ops": ("a//b,]@example.com",)}


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        pytest.param('"tests"', "tests", "Expecting", id="a bare key is JSON5, not HuJSON"),
        pytest.param('"tests"', '"grants": [], "tests"', "'grants' is given twice", id="a key given twice"),
        pytest.param('"tests"', '"acls": [], "tests"', "acls", id="the older section"),
        pytest.param('["tag:a"], "dst"', '["*"], "dst"', "grants.0.src", id="everybody as a source"),
        pytest.param('["tag:a"], "dst"', '["autogroup:member"], "dst"', "grants.0.src", id="an autogroup"),
        pytest.param('"dst": ["tag:b"]', '"dst": ["*"]', "grants.0.dst", id="everything as a destination"),
        pytest.param('"tcp:443"', '"*"', "grants.1.ip", id="every port"),
        pytest.param('"tcp:443"', '"443"', "grants.1.ip", id="a port without its protocol"),
        pytest.param('"tcp:443"', '"tcp:443-80"', "not a range", id="a range that runs backwards"),
        pytest.param('"tcp:443"', '"tcp:0-65536"', "not a range", id="ports that do not exist"),
        pytest.param('"ip": ["tcp:443"]', '"ip": ["tcp:443"], "via": ["tag:b"]', "via", id="a route"),
        pytest.param('"dst": ["tag:b"]', '"dst": ["tag:c"]', "grants names tag:c", id="a tag nobody owns"),
        pytest.param('"tag:b:80"', '"tag:c:80"', "tests names tag:c", id="a test of a tag nobody owns"),
        pytest.param('"proto": "tcp", ', "", "tests.0.proto", id="a test without its protocol"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_and_named(old: str, new: str, named: str) -> None:
    assert old in SMALL
    with pytest.raises(PolicyError, match=named):
        parse(SMALL.replace(old, new))


def test_a_policy_without_grants_is_refused_because_tailscale_would_allow_everything() -> None:
    with pytest.raises(PolicyError, match="grants"):
        parse('{"groups": {}, "tagOwners": {}, "tests": []}')
