import array
import json
import struct
from pathlib import Path
from typing import Any

import pytest

STANDIN = Path(__file__).parents[4] / "inference/standin"
FOLDERS = [STANDIN / "model", STANDIN / "model-int8"]
BOTH = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
SPECIAL = {
    "<|begin_of_text|>": 0,
    "<|end_of_text|>": 1,
    "<|start_header_id|>": 2,
    "<|end_header_id|>": 3,
    "<|eot_id|>": 4,
    "<|eom_id|>": 5,
    "<|python_tag|>": 6,
    "<|finetune_right_pad_id|>": 7,
}


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def tensors(folder: Path) -> tuple[dict[str, Any], bytes]:
    """The header of a safetensors file, and its data."""
    data = (folder / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    return header, data[8 + length :]


def bf16(raw: bytes) -> list[float]:
    """bf16 is the upper half of an IEEE single."""
    return [struct.unpack("<f", struct.pack("<I", half << 16))[0] for half in array.array("H", raw)]


@BOTH
def test_special_tokens_have_the_ids_that_the_configuration_names(folder: Path) -> None:
    added = {token["content"]: token["id"] for token in load(folder / "tokenizer.json")["added_tokens"]}
    assert added == SPECIAL
    for name in ("config.json", "generation_config.json"):
        ids = load(folder / name)
        assert (ids["bos_token_id"], ids["eos_token_id"], ids["pad_token_id"]) == (0, 4, 7)


@BOTH
def test_the_vocabulary_fits_the_embeddings(folder: Path) -> None:
    config, header = load(folder / "config.json"), tensors(folder)[0]
    vocabulary = load(folder / "tokenizer.json")["model"]["vocab"]
    assert len(vocabulary) == config["vocab_size"] == header["model.embed_tokens.weight"]["shape"][0]
    assert config["tie_word_embeddings"]
    assert "lm_head.weight" not in header


@BOTH
def test_the_model_and_the_tokenizer_agree_on_the_longest_context(folder: Path) -> None:
    assert load(folder / "config.json")["max_position_embeddings"] == 4096
    assert load(folder / "tokenizer_config.json")["model_max_length"] == 4096


@BOTH
def test_the_files_carry_no_sampling_defaults(folder: Path) -> None:
    assert set(load(folder / "generation_config.json")) == {"bos_token_id", "eos_token_id", "pad_token_id"}


@BOTH
def test_the_template_is_the_one_that_trained_the_model(folder: Path) -> None:
    assert (folder / "chat_template.jinja").read_text() == (STANDIN / "chat_template.jinja").read_text()


def test_digits_are_tokens_of_their_own() -> None:
    vocabulary = load(STANDIN / "model/tokenizer.json")["model"]["vocab"]
    assert [token for token in vocabulary if any(mark.isdecimal() for mark in token) and len(token) > 1] == []


def test_everything_committed_stays_small() -> None:
    assert sum(file.stat().st_size for folder in FOLDERS for file in folder.iterdir()) < 10_000_000


def test_int8_weights_are_within_half_a_step_of_the_original() -> None:
    header, data = tensors(FOLDERS[0])
    header8, data8 = tensors(FOLDERS[1])
    name = "model.layers.0.self_attn.k_proj.weight"
    rows, columns = header8[name]["shape"]
    assert header8[name]["dtype"] == "I8"
    assert header8[f"{name}_scale"]["shape"] == [rows, 1]
    original = bf16(data[slice(*header[name]["data_offsets"])])
    levels = array.array("b", data8[slice(*header8[name]["data_offsets"])])
    scales = bf16(data8[slice(*header8[f"{name}_scale"]["data_offsets"])])
    for row in range(rows):
        for at in range(row * columns, (row + 1) * columns):
            # Rounding the scale to bf16 can clip the row's largest weight, by a quarter of a step at most.
            assert abs(levels[at] * scales[row] - original[at]) <= scales[row] * 0.501


def test_every_projection_is_quantized_and_nothing_else() -> None:
    header = tensors(FOLDERS[1])[0]
    assert {tensor["dtype"] for name, tensor in header.items() if name.endswith("_proj.weight")} == {"I8"}
    assert {tensor["dtype"] for name, tensor in header.items() if not name.endswith("_proj.weight")} == {"BF16"}
