"""Answers of the stand-in by transformers, without the engine: for the evaluation and for a quick try."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from inference.standin.tokenizer import END_OF_TURN


class Speaker:
    """A model folder, loaded. Answers are at most `limit` tokens."""

    def __init__(self, folder: Path, limit: int = 160) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self._limit = limit

    @torch.inference_mode()
    def answer(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None, temperature: float = 0.0
    ) -> tuple[str, bool]:
        """The assistant's next turn, and whether it ended by itself. Sampling follows torch's global seed."""
        prompt = self._tokenizer.apply_chat_template(
            messages, tools=tools or None, add_generation_prompt=True, tokenize=False
        )
        inputs = self._tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
        sampling: dict[str, Any] = {"temperature": temperature} if temperature else {}
        output = self._model.generate(
            **inputs,
            max_new_tokens=self._limit,
            do_sample=temperature > 0,
            pad_token_id=self._tokenizer.pad_token_id,
            **sampling,
        )
        text = self._tokenizer.decode(output[0, inputs.input_ids.shape[1] :])
        return text.removesuffix(END_OF_TURN), text.endswith(END_OF_TURN)


def parse_call(text: str) -> dict[str, Any] | None:
    """The tool call that an answer is, or None. Stricter than the engine's parser: nothing may stand around it."""
    try:
        call = json.loads(text)
    except ValueError:
        return None
    if not isinstance(call, dict) or set(call) != {"name", "parameters"} or not isinstance(call["parameters"], dict):
        return None
    return call
