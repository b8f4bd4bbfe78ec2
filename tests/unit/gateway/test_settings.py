"""The settings' slices: what they are without a word said, what they refuse, and that the file shows all of them."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.settings import Attempts, OnPrem, Settings, Topology
from tests.unit.gateway.pool_bench import CLIENT_KEY, ONPREM_KEY, settings_for

SHOWN = (Path(__file__).parents[3] / "gateway.toml").read_text("utf-8")
EVERY_FIELD = [
    (section, field) for section, slice_ in Topology() if section != "routes" for field in type(slice_).model_fields
]


def test_the_repositorys_file_shows_every_setting_with_its_default() -> None:
    shown = tomllib.loads(SHOWN)
    assert shown.pop("routes")  # the dealership's own, and not a default
    assert {**shown, "routes": {}} == Topology().model_dump(mode="json", exclude_none=True)
    for section, field in EVERY_FIELD:
        assert re.search(rf"^(# )?{field} = ", SHOWN, re.MULTILINE), f"{section}.{field} is not in gateway.toml"


def test_settings_cannot_be_changed_once_made() -> None:
    settings = settings_for(1)
    with pytest.raises(ValidationError, match="frozen"):
        settings.attempts = Attempts()  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        settings.attempts.max_attempts = 5  # type: ignore[misc]


def test_secrets_are_not_shown() -> None:
    shown = repr(settings_for(1)) + settings_for(1).model_dump_json()
    assert CLIENT_KEY not in shown
    assert ONPREM_KEY not in shown


@pytest.mark.parametrize("missing", ["listen", "replica_urls", "api_keys", "onprem_key"])
def test_what_is_of_this_host_has_no_default(missing: str) -> None:
    given = {name: value for name, value in settings_for(1) if name != missing}
    with pytest.raises(ValidationError, match=f"{missing}\\n  Field required"):
        Settings.model_validate(given)


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("attempts", "max_attempts", 0),
        ("attempts", "max_attempts", 2.0),
        ("attempts", "max_resumes", -1),
        ("attempts", "retry_ratio", 1.1),
        ("attempts", "retry_reserve", -1),
        ("attempts", "hedge", 1),
        ("attempts", "hedge_min_delay_s", 0),
        ("admission", "max_concurrent_per_replica", 0),
        ("admission", "max_queued", -1),
        ("admission", "max_wait_s", 0),
        ("affinity", "min_share", 1.5),
        ("breaker", "failure_ratio", 0),
        ("health", "overloaded_kv_usage", 1.01),
        ("chat", "priority", "resume"),
        ("chat_completions", "total_timeout_s", 3601),
        ("shutdown", "grace_s", 0),
        ("shutdown", "no_such_setting", 1),
    ],
)
def test_a_value_out_of_bounds_is_refused(section: str, field: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=f"{section}.{field}"):
        Topology.model_validate({section: {field: value}})


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("attempts", "retry_reserve", 0),
        ("attempts", "unavailable_wait_s", 0),
        ("admission", "max_queued", 0),
        ("breaker", "ramp_s", 0),
        ("shutdown", "notice_s", 0),
        ("on_prem", "total_timeout_s", 3600),
    ],
)
def test_zero_turns_off_what_may_be_turned_off_and_bounds_are_allowed(section: str, field: str, value: Any) -> None:
    assert getattr(getattr(Topology.model_validate({section: {field: value}}), section), field) == value


def test_a_stream_may_not_be_silent_for_longer_than_it_may_last() -> None:
    with pytest.raises(ValidationError, match=r"idle_timeout_s is longer than on_prem.total_timeout_s"):
        settings_for(1, on_prem={"idle_timeout_s": 301.0})


def test_whoever_waits_for_a_lost_site_waits_less_than_for_a_connection() -> None:
    assert Attempts().unavailable_wait_s < OnPrem().connect_timeout_s


def test_an_origin_s_pattern_must_be_one() -> None:
    assert Topology.model_validate({"cors": {"allow_origin_regex": "https://a-.*"}}).cors.allow_origin_regex
    with pytest.raises(ValidationError, match="not a regular expression"):
        Topology.model_validate({"cors": {"allow_origin_regex": "("}})
