"""The int8 variant of the stand-in: weights per output channel, activations per token, in compressed-tensors' format.

Written by hand, because that is thirty lines: rounding to the nearest of 255 levels needs no calibration data.
Embeddings and norms stay in bf16.
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

LEVELS = 127
COPIED = ("generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
SCHEME = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "ignore": ["lm_head"],
    "kv_cache_scheme": None,
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 8, "type": "int", "symmetric": True, "dynamic": False, "strategy": "channel"},
            "input_activations": {
                "num_bits": 8,
                "type": "int",
                "symmetric": True,
                "dynamic": True,
                "strategy": "token",
            },
            "output_activations": None,
        }
    },
}


def quantize(source: Path, target: Path) -> None:
    """Writes the int8 variant of the model in `source` into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    for name, weight in load_file(source / "model.safetensors").items():
        if name.endswith("_proj.weight"):
            tensors[name], tensors[f"{name}_scale"] = to_int8(weight)
        else:
            tensors[name] = weight
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    for name in COPIED:
        shutil.copyfile(source / name, target / name)
    config = json.loads((source / "config.json").read_text())
    config["quantization_config"] = SCHEME
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def to_int8(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A matrix (outputs, inputs) as int8 of the same shape and bf16 scales (outputs, 1)."""
    scale = (weight.float().abs().amax(dim=1, keepdim=True) / LEVELS).to(torch.bfloat16)
    levels = (weight.float() / scale.float()).round().clamp(-LEVELS, LEVELS)
    return levels.to(torch.int8), scale
