"""`x-request-id` names a request at every hop, so that a complaint can be found in three logs."""

import uuid

import pytest

from shared.headers import REQUEST_ID
from tests.contract.targets import Feature
from tests.contract.wire import CHAT, MODELS

pytestmark = pytest.mark.needs(Feature.REQUEST_ID)


@pytest.fixture
def mine():
    return {REQUEST_ID: f"contract-{uuid.uuid4().hex}"}


def test_the_clients_id_comes_back(wire, mine):
    assert wire.post(wire.body(max_tokens=1), headers=mine).headers.get_list(REQUEST_ID) == [mine[REQUEST_ID]]


def test_the_clients_id_comes_back_on_a_stream(wire, mine):
    with wire.http.stream("POST", CHAT, json=wire.body(stream=True, max_tokens=1), headers=mine) as response:
        response.read()
    assert response.headers.get_list(REQUEST_ID) == [mine[REQUEST_ID]]


def test_the_clients_id_comes_back_on_the_list_of_models(wire, mine):
    assert wire.http.get(MODELS, headers=mine).headers.get_list(REQUEST_ID) == [mine[REQUEST_ID]]


@pytest.mark.parametrize(
    ("path", "spoilt"),
    [
        pytest.param(CHAT, {"model": "no-such-model"}, id="unknown-model"),
        pytest.param(CHAT, {"temperature": "hot"}, id="wrong-type"),
        pytest.param("/no/such/path", {}, id="unknown-path"),
    ],
)
def test_the_clients_id_comes_back_on_an_error(wire, mine, path, spoilt):
    response = wire.http.post(path, json=wire.body(**spoilt), headers=mine)
    assert response.status_code >= 400
    assert response.headers.get_list(REQUEST_ID) == [mine[REQUEST_ID]]


def test_the_clients_id_comes_back_with_a_wrong_key(wire, mine):
    response = wire.http.get(MODELS, headers={**mine, "authorization": "Bearer wrong"})
    assert response.status_code == 401
    assert response.headers.get_list(REQUEST_ID) == [mine[REQUEST_ID]]


def test_a_request_without_an_id_is_given_one(wire):
    given = [wire.post(wire.body(max_tokens=1)).headers[REQUEST_ID] for _ in range(2)]
    assert all(given)
    assert given[0] != given[1]
