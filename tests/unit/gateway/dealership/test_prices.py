"""The dealership's price table: the shipped one is good, and a bad one is named with its key."""

from pathlib import Path

import pytest

from gateway.commands.places import DEALERSHIP_DIR
from gateway.dealership.prices import FILE, load


def test_the_shipped_table_has_a_price_for_the_model_that_it_compares_with() -> None:
    table = load(DEALERSHIP_DIR)
    assert table.counterfactual in table.models


@pytest.mark.parametrize(
    ("text", "wrong"), [("as_of = 1", "as_of"), ("[gpus", FILE), ('as_of = "x"\nsurplus = 1', "surplus")]
)
def test_a_bad_table_is_named_with_its_key(tmp_path: Path, text: str, wrong: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ValueError, match=wrong) as raised:
        load(tmp_path)
    assert str(tmp_path) in str(raised.value)


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=FILE):
        load(tmp_path)
