"""The committed tokenizer, run by the engine's own interpreter: that is the library which reads it in production."""

import json
import os
import subprocess
from pathlib import Path
from random import Random

import pytest

ROOT = Path(__file__).parents[4]
PYTHON = Path(os.environ.get("SCOUT_ENGINE_PYTHON", ROOT / ".venv-engine/bin/python"))
TOKENIZE = """
import json, sys
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(sys.argv[1])
coded = [tokenizer.encode(text, add_special_tokens=False) for text in json.load(sys.stdin)]
print(json.dumps([[each.tokens, tokenizer.decode(each.ids)] for each in coded]))
"""

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not PYTHON.exists(), reason="the engine's environment is not installed"),
    pytest.mark.parametrize("folder", ["model", "model-int8"]),
]


def tokenized(folder: str, texts: list[str]) -> list[tuple[list[str], str]]:
    """The tokens of each text, and the text that they decode to."""
    file = ROOT / "inference/standin" / folder / "tokenizer.json"
    done = subprocess.run(
        [PYTHON, "-c", TOKENIZE, file], input=json.dumps(texts), capture_output=True, text=True, check=True, timeout=60
    )
    return [(tokens, decoded) for tokens, decoded in json.loads(done.stdout)]


@pytest.mark.parametrize("value", ["Toyota", "CR-V", "silver", "SUV", "sedan", "EX-L", "Dana", "S4821", "body_style"])
def test_a_word_has_the_same_tokens_in_a_sentence_and_in_json(folder: str, value: str) -> None:
    texts = [value, f"We have the {value}, too.", f'{{"a": "{value}"}}']
    (alone, _), (sentence, _), (quoted, _) = tokenized(folder, texts)
    for tokens in (sentence, quoted):
        assert any(tokens[at : at + len(alone)] == alone for at in range(len(tokens)))


def test_a_value_that_is_copied_is_one_token(folder: str) -> None:
    words = ["Toyota", "CR-V", "silver", "SUV", "sedan", "Dana", "search_inventory", "max_price"]
    assert [tokens for tokens, _ in tokenized(folder, words)] == [[word] for word in words]


def test_decoding_gives_back_any_text(folder: str) -> None:
    rng = Random(1)
    pieces = [
        *"abXY 09 \n\t\r.,'\"{}_-éß中😀\u0301\u200d\u00a0\u2028½",
        "  ",
        " red",
        " Toyota",
        "'s",
        "CR-V",
        "max_price",
    ]
    texts = ["".join(rng.choices(pieces, k=rng.randrange(1, 25))) for _ in range(2000)]
    assert [decoded for _, decoded in tokenized(folder, texts)] == texts
