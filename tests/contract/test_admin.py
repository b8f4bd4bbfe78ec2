"""What an operator's key opens at the gateway: each replica's state, and taking one out of service and back."""

from contextlib import contextmanager

import httpx
import pytest

from shared.headers import REPLICA
from tests.contract.refusals import Fault, Refusal, check
from tests.contract.targets import Feature

REPLICAS = "/admin/replicas"
FIELDS = {"name", "state", "reason", "since_s", "draining", "in_flight"}


@pytest.fixture(scope="module")
def operator(target):
    headers = {"authorization": f"Bearer {target.admin_key}"}
    with httpx.Client(base_url=target.url, headers=headers, timeout=30) as http:
        yield http


@contextmanager
def drained(operator, name):
    """The replica's entry once it is drained; taken back afterwards, whatever happens."""
    try:
        yield operator.put(f"{REPLICAS}/{name}/drain").raise_for_status().json()
    finally:
        operator.delete(f"{REPLICAS}/{name}/drain").raise_for_status()


@pytest.mark.needs(Feature.SCOUT)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", REPLICAS), ("PUT", f"{REPLICAS}/replica-0/drain"), ("DELETE", f"{REPLICAS}/replica-0/drain")],
)
@pytest.mark.parametrize("whose", ["clients", "nobodys", "none"])
def test_no_key_but_an_operators_opens_it(target, method, path, whose):
    # 404 where the gateway has no admin keys: then there is no such door.
    keys = {"clients": f"Bearer {target.key}", "nobodys": "Bearer sk-nobodys", "none": None}
    sent = {"authorization": keys[whose]} if keys[whose] else {}
    response = httpx.request(method, f"{target.url}{path}", headers=sent, timeout=30)
    expected = Refusal((404,), "not_found") if response.status_code == 404 else target.refusals[Fault.WRONG_KEY]
    assert check(response, expected)["request_id"] == response.headers["x-request-id"]


@pytest.mark.needs(Feature.ADMIN)
def test_every_replica_is_listed_as_readyz_has_it(target, operator):
    listed = operator.get(REPLICAS).raise_for_status().json()["replicas"]
    told = httpx.get(f"{target.url}/readyz", timeout=10).json()["replicas"]
    assert all(set(entry) == FIELDS for entry in listed)
    assert [entry["name"] for entry in listed] == [entry["name"] for entry in told]
    assert not any(entry["draining"] for entry in listed)


@pytest.mark.needs(Feature.ADMIN)
def test_a_drained_replica_gets_no_new_request_until_it_is_taken_back(target, operator, wire):
    names = [entry["name"] for entry in operator.get(REPLICAS).json()["replicas"]]
    assert len(names) > 1, "the case needs a replica that takes over"
    with drained(operator, names[0]) as entry:
        assert (entry["name"], entry["state"], entry["draining"]) == (names[0], "draining", True)
        ready = httpx.get(f"{target.url}/readyz", timeout=10)
        assert ready.status_code == 200
        assert {each["name"]: each["state"] for each in ready.json()["replicas"]}[names[0]] == "draining"
        asked = [wire.body(question=f"Do you have {make}?", max_tokens=1) for make in ("a Honda", "a Ford", "a Kia")]
        assert names[0] not in {wire.post(body).headers[REPLICA] for body in asked}
        again = operator.put(f"{REPLICAS}/{names[0]}/drain")
        assert again.json()["draining"] is True, "to say it twice is no error"
    (entry,) = (each for each in operator.get(REPLICAS).json()["replicas"] if each["name"] == names[0])
    assert (entry["draining"], entry["state"]) == (False, "ready")


@pytest.mark.needs(Feature.ADMIN)
def test_a_replica_that_does_not_exist_is_not_found_and_the_answer_names_those_that_do(operator):
    error = check(operator.put(f"{REPLICAS}/replica-99/drain"), Refusal((404,), "not_found"))
    assert "replica-0" in error["message"]


@pytest.mark.needs(Feature.ADMIN)
def test_an_operators_key_opens_no_clients_door(operator, wire, target):
    response = operator.post("/v1/chat/completions", json=wire.body(max_tokens=1))
    check(response, target.refusals[Fault.WRONG_KEY])
