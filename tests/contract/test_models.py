"""`GET /v1/models`: the list that clients show and verify a key by."""

from shared.models import ModelList
from tests.contract.wire import MODELS


def test_the_list_has_openai_shape(wire):
    response = wire.http.get(MODELS)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/json")
    listed = ModelList.model_validate(response.json())
    assert all(model.created >= 0 for model in listed.data)
    assert all(model.owned_by for model in listed.data)


def test_the_served_model_is_listed_once(wire, target):
    listed = ModelList.model_validate(wire.http.get(MODELS).json())
    assert [model.id for model in listed.data].count(target.model) == 1


def test_every_listed_model_answers(wire):
    for model in ModelList.model_validate(wire.http.get(MODELS).json()).data:
        assert wire.chat(model=model.id, max_tokens=1)["model"] == model.id
