from collections import Counter
from pathlib import Path

import pytest

from tests.bench.prefix_cache import Places, Tally, chooser, conversations, read_env, report

ENV = {
    "SCOUT_URL": "http://gateway",
    "SCOUT_KEY": "scout-key",
    "ONPREM_URL": "http://nginx",
    "ONPREM_KEY": "onprem-key",
    "REPLICA_URLS": "http://r0,http://r1,http://r2",
    "SCOUT_MODEL": "llama-70b-scout",
}
PLACES = Places.of(ENV)


def urls(mode: str, turns: int = 2) -> list[str]:
    """Where three conversations go, one after the other, turn by turn."""
    choose = chooser(mode, PLACES)
    talks = conversations(3, turns, "1")
    return [choose(talk)[0] for _ in range(turns) for talk in reversed(talks)]


def test_groups_ask_the_same_and_share_no_first_message() -> None:
    one, other = conversations(4, 3, "1"), conversations(4, 3, "2")
    assert [talk.questions for talk in one] == [talk.questions for talk in other]
    assert one[0].messages != other[0].messages
    assert len({question for talk in one for question in talk.questions}) == 12


def test_the_oracle_keeps_every_conversation_where_it_is() -> None:
    assert urls("oracle") == ["http://r2", "http://r1", "http://r0"] * 2


def test_round_robin_goes_on_with_every_request() -> None:
    assert urls("round robin") == ["http://r0", "http://r1", "http://r2"] * 2


def test_gateway_and_nginx_choose_by_themselves() -> None:
    talk = conversations(1, 1, "1")[0]
    assert chooser("gateway", PLACES)(talk) == ("http://gateway", "scout-key")
    assert chooser("least_conn", PLACES)(talk) == ("http://nginx", "onprem-key")


def test_an_engine_that_does_not_tell_what_it_had_cached_is_refused() -> None:
    with pytest.raises(ValueError, match="enable-prompt-tokens-details"):
        Tally().add({"prompt_tokens": 5, "prompt_tokens_details": None}, "replica-0")


def test_a_tally_adds_up() -> None:
    tally = Tally()
    tally.add({"prompt_tokens": 300, "prompt_tokens_details": {"cached_tokens": 128}}, "replica-0")
    tally.add({"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": None}}, "replica-1")
    assert (tally.share, tally.requests) == (0.32, Counter(["replica-0", "replica-1"]))


def test_the_report_compares_with_the_oracle_of_the_same_round() -> None:
    here, there = Counter({"replica-0": 2, "replica-1": 1}), Counter({"not told": 3})
    rounds = {
        "least_conn": [Tally(100, 20, there), Tally(100, 40, there)],
        "oracle": [Tally(100, 40, here), Tally(100, 80, here)],
    }
    lines = report(rounds).splitlines()
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == [
        "least_conn",
        "200",
        "30.0 (20.0-40.0) %",
        "0.500",
        "6 (not told)",
    ]
    assert [cell.strip() for cell in lines[3].split("|")[4:-1]] == ["1.000", "4/2"]


def test_a_report_without_the_oracle_has_no_ratio() -> None:
    assert " - " in report({"least_conn": [Tally(100, 20)]}).splitlines()[2]


def test_the_env_file_wins_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCOUT_URL", "http://elsewhere")
    monkeypatch.setenv("SCOUT_MODEL", "other")
    file = tmp_path / "env"
    file.write_text("# the stack\nexport SCOUT_URL=http://here\nexport SCOUT_KEY='a b'\n")
    env = read_env(file)
    assert (env["SCOUT_URL"], env["SCOUT_KEY"], env["SCOUT_MODEL"]) == ("http://here", "a b", "other")
