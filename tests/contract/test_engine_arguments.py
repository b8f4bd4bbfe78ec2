"""vLLM accepts every profile's arguments, by its own parser and as a whole engine configuration, for the engine we pin.

The 70B profiles are checked against the checkpoints' config.json as published: shape of LLaMA 70B and, per format, how
it is quantized. No weights and no GPU are needed for that. One process of the engine's Python answers all cases,
because it spends ten seconds importing.
"""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference.command import Placement, build_command
from inference.profile import Profile, load_profile, profile_names

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
ENGINE = Path(os.environ.get("SCOUT_ENGINE_PYTHON") or ROOT / ".venv-engine/bin/python")

LLAMA_70B = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "rope_theta": 500000.0,
    "rope_scaling": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True}
FP8 = {"quant_method": "modelopt", "quant_algo": "FP8", "ignore": ["lm_head"], "producer": {"name": "modelopt"}}
CHECKPOINTS: dict[str, dict[str, Any]] = {
    "llama-70b-bf16-tp4": LLAMA_70B,
    "llama-70b-awq-tp1": LLAMA_70B | {"torch_dtype": "float16", "quantization_config": AWQ},
    "llama-70b-fp8-tp2": LLAMA_70B | {"quantization_config": FP8},
}

# What the same check has to refuse: name -> (change to the arguments of llama-70b-bf16-tp4, what vLLM says).
REFUSED: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "unknown option": (lambda argv: [*argv, "--max-num-requests", "10"], "unrecognized arguments: --max-num-requests"),
    "unknown choice": (lambda argv: _with(argv, "--scheduling-policy", "fair"), "invalid choice: 'fair'"),
    "wrong type": (lambda argv: _with(argv, "--max-num-seqs", "ten"), "invalid int value: 'ten'"),
    "out of range": (lambda argv: _with(argv, "--max-num-seqs", "0"), "greater than or equal to 1"),
    "heads not divisible": (
        lambda argv: _with(argv, "--tensor-parallel-size", "3"),
        "divisible by tensor parallel size",
    ),
    "context beyond the model": (
        lambda argv: _with(argv, "--max-model-len", "262144"),
        "greater than the derived max_model_len",
    ),
    "template not there": (lambda argv: [*argv, "--chat-template", "/nowhere/chat.jinja"], "doesn't exist"),
    "tools without a parser": (lambda argv: _without(argv, "--tool-call-parser"), "requires --tool-call-parser"),
    "quantization that the checkpoint lacks": (lambda argv: [*argv, "--quantization", "awq"], "config file for awq"),
}


def _with(argv: list[str], option: str, value: str) -> list[str]:
    return [*_without(argv, option), option, value]


def _without(argv: list[str], option: str) -> list[str]:
    at = argv.index(option)
    return argv[:at] + argv[at + 2 :]


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """vLLM's answer to every case: its complaint, or None."""
    if not ENGINE.exists():
        pytest.skip(f"no engine: {ENGINE} does not exist (SCOUT_ENGINE_PYTHON names another)")
    cases, variables = {}, set()
    for name in profile_names():
        folder = _checkpoint(name, tmp_path_factory)
        command = build_command(load_profile(name), Placement(str(ENGINE), "127.0.0.1", 8091, folder))
        cases[name] = list(command.argv[3:])
        variables |= {variable for variable in command.environment if variable.startswith("VLLM_")}
    for name, (change, _) in REFUSED.items():
        cases[name] = change(cases["llama-70b-bf16-tp4"])
    asked = json.dumps({"cases": cases, "environment": sorted(variables)})
    script = Path(__file__).with_name("engine_parser.py")
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    ended = subprocess.run([ENGINE, script], input=asked, env=environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-4000:]
    return dict(json.loads(ended.stdout.splitlines()[-1]))


def _checkpoint(name: str, folders: pytest.TempPathFactory) -> Path | None:
    """A folder with the config.json of a checkpoint we do not have; None for those that are in the repository."""
    if name not in CHECKPOINTS:
        return None
    folder = folders.mktemp(name)
    (folder / "config.json").write_text(json.dumps(CHECKPOINTS[name]))
    return folder


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", profile_names())
def test_vllm_accepts_the_profile(verdict: dict[str, Any], name: str):
    assert verdict["cases"][name] is None


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", REFUSED)
def test_the_same_check_refuses_what_is_wrong(verdict: dict[str, Any], name: str):
    assert REFUSED[name][1] in (verdict["cases"][name] or "")


@pytest.mark.timeout(300)
def test_this_vllm_reads_every_variable_that_we_set(verdict: dict[str, Any]):
    assert verdict["unknown"] == []


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_profile_knows_the_heads_of_its_checkpoint(name: str):
    profile: Profile = load_profile(name)
    assert profile.model.attention_heads == CHECKPOINTS[name]["num_attention_heads"]
