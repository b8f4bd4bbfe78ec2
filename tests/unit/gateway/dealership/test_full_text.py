"""The index of words and features: what matches, and that nothing written in a search is a command to it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dealership import full_text
from gateway.stores.database import Database

DOCUMENTS = [
    (1, "2023 Toyota RAV4 XLE heated seats", [1, 2]),
    (2, "2022 Honda CR-V crv leather seat", [2, 3]),
    (3, "2021 Ford F-150 near AND or NOT", [12]),
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    path: Path = tmp_path_factory.mktemp("stock")
    database = Database(f"sqlite:///{path}/stock.db")
    database.write_now(full_text.create)
    database.write_now(lambda connection: full_text.add(connection, DOCUMENTS))
    yield database
    database.close()


def found(database: Database, text: str = "", features: Sequence[Sequence[int]] = ()) -> list[int]:
    having = full_text.having(full_text.words_of(text), features)
    return sorted(database.read_now(lambda connection: list(connection.scalars(having))))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("toyota", [1]),
        ("TOYOTA rav4", [1]),
        ("toyota honda", []),
        ("seat", [1, 2]),
        ("the seats with leather", [2]),
        ("cr-v", [2]),
        ("CRV", [2]),
        ("f 150", [3]),
        ("toy", []),
        ("near", [3]),
        ("not", [3]),
    ],
)
def test_a_vehicle_is_found_by_all_of_the_words(database: Database, text: str, ids: list[int]) -> None:
    assert found(database, text) == ids


@pytest.mark.parametrize(
    ("features", "ids"), [([[2]], [1, 2]), ([[1], [2]], [1]), ([[1, 3]], [1, 2]), ([[12]], [3]), ([[99]], [])]
)
def test_a_vehicle_is_found_by_one_way_to_have_each_feature(
    database: Database, features: list[list[int]], ids: list[int]
) -> None:
    assert found(database, "", features) == ids


def test_words_and_features_are_both_wanted_and_a_number_is_not_a_feature(database: Database) -> None:
    assert found(database, "seat", [[3]]) == [2]
    assert found(database, "12") == []


@pytest.mark.parametrize("text", ["", "***", '"', "the car", "(", ";"])
def test_a_text_without_a_telling_word_has_no_words(text: str) -> None:
    assert full_text.words_of(text) == []


def test_words_beyond_the_bound_are_not_searched_for() -> None:
    assert len(full_text.words_of("seat " * 50)) == full_text.MAX_WORDS


@pytest.mark.parametrize(
    "text",
    [
        '"; DROP TABLE vehicle_index; --',
        'toyota" OR "honda',
        "NEAR(toyota rav4)",
        "toyota OR honda",
        "toy*",
        "words : honda",
        "{features} : 2",
        "^toyota NOT honda",
        "toyota + honda",
        "'); DELETE FROM vehicle_index; --",
    ],
)
def test_a_search_is_words_and_never_a_command(database: Database, text: str) -> None:
    assert found(database, text) == []
    assert found(database, "seat") == [1, 2]


@given(st.text())
def test_any_text_can_be_searched_for(database: Database, text: str) -> None:
    if full_text.words_of(text):
        assert set(found(database, text)) <= {1, 2, 3}


def test_what_is_taken_out_is_not_found(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/stock.db")
    try:
        database.write_now(full_text.create)
        database.write_now(full_text.create)
        database.write_now(lambda connection: full_text.add(connection, DOCUMENTS))
        database.write_now(lambda connection: full_text.add(connection, []))
        database.write_now(lambda connection: full_text.remove(connection, [1, 3, 99]))
        database.write_now(lambda connection: full_text.remove(connection, []))
        assert found(database, "seat") == [2]
    finally:
        database.close()
