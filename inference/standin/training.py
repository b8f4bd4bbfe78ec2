"""Trains the stand-in from nothing on a CPU, by a fixed number of steps from a seed, and writes its files.

The first steps are mostly copying drills, then dialogues. On a CPU with bf16 instructions the forward and backward
passes run in bf16 (twice as fast); weights, optimizers and the loss are fp32 everywhere.
"""

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from inference.standin.batches import Batch, Batcher
from inference.standin.muon import Muon
from inference.standin.tokenizer import POSITIONS


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, apart from the kind of CPU."""

    seed: int = 2026
    steps: int = 1150
    budget: int = 6144  # positions in a batch, padding included
    longest: int = 3072  # tokens in a sequence
    matrix_lr: float = 0.02
    other_lr: float = 3e-3
    warmup_steps: int = 20
    cooldown_steps: int = 500  # the last ones, over which the learning rate falls
    final_lr: float = 0.01  # as a share of the highest
    drill_steps: int = 200  # the first ones, nearly all drills
    mixed_steps: int = 500  # until here still every third a drill
    call_share: float = 0.0  # of calls of tools that occur nowhere else
    threads: int = 1  # a second one spends most of its time waiting for the first, on matrices of this size

    def lr_factor(self, step: int) -> float:
        rising = (step + 1) / self.warmup_steps
        falling = max(self.final_lr, (self.steps - step) / self.cooldown_steps)
        return min(1.0, rising, falling)

    def drill_share(self, step: int) -> float:
        return 0.9 if step < self.drill_steps else 0.3 if step < self.mixed_steps else 0.1

    def second(self) -> "Recipe":
        """A short run after the first, at falling rates: the same dialogues, and calls of unknown tools."""
        steps = self.steps // 6
        return replace(
            self,
            seed=self.seed + 1,
            steps=steps,
            matrix_lr=self.matrix_lr / 4,
            other_lr=self.other_lr / 4,
            cooldown_steps=steps,
            drill_steps=0,
            mixed_steps=0,
            call_share=0.2,
        )


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A LLaMA of 2.4 M parameters with random weights."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=5,
        num_attention_heads=6,
        num_key_value_heads=2,  # two, so that the model can also be served tensor-parallel over two processes
        head_dim=32,
        max_position_embeddings=POSITIONS,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(config)
    # Tied embeddings are also the output layer: at the usual 0.02 the first logits are so flat that training is slow.
    torch.nn.init.normal_(model.model.embed_tokens.weight, std=0.08)
    return model


def train(folder: Path, recipe: Recipe, *, go_on: bool = False) -> dict[str, object]:
    """Trains with the tokenizer found in `folder`, writes the weights there and returns the run's measured facts.

    With `go_on` it starts from the weights found in `folder`, otherwise from random ones.
    """
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32) if go_on else new_model(tokenizer)
    model.train()
    batcher = Batcher(
        tokenizer, Random(recipe.seed), budget=recipe.budget, longest=recipe.longest, call_share=recipe.call_share
    )
    optimizers = _optimizers(model, recipe)
    in_bf16 = torch.cpu._is_avx512_bf16_supported()
    started, cpu_started, tokens, smooth = time.perf_counter(), time.process_time(), 0, 0.0
    for step in range(recipe.steps):
        for optimizer, peak in optimizers:
            optimizer.param_groups[0]["lr"] = peak * recipe.lr_factor(step)
        batch = batcher.next(recipe.drill_share(step))
        loss = _backward(model, batch, in_bf16=in_bf16)
        for optimizer, _ in optimizers:
            optimizer.step()
        model.zero_grad(set_to_none=True)
        tokens += batch.tokens
        smooth = loss if step == 0 else 0.97 * smooth + 0.03 * loss
        if step % 25 == 0 or step == recipe.steps - 1:
            elapsed = time.perf_counter() - started
            print(f"step {step}  loss {smooth:.3f}  {tokens / 1e6:.2f} M tokens  {elapsed:.0f} s", flush=True)
    _save(model, folder)
    return {
        "parameters": model.num_parameters(),
        "tokens": tokens,
        "cpu_seconds": round(time.process_time() - cpu_started),
        "seconds": round(time.perf_counter() - started),
        "final_loss": round(smooth, 4),
        "bf16_passes": in_bf16,
        "recipe": asdict(recipe),
    }


def _optimizers(model: LlamaForCausalLM, recipe: Recipe) -> list[tuple[torch.optim.Optimizer, float]]:
    """Muon for the layers' matrices, AdamW for embeddings and norms; each with its highest learning rate."""
    matrices = [weight for weight in model.model.layers.parameters() if weight.ndim == 2]
    known = {id(weight) for weight in matrices}
    others = [weight for weight in model.parameters() if id(weight) not in known]
    return [
        (Muon(matrices, lr=recipe.matrix_lr), recipe.matrix_lr),
        (torch.optim.AdamW(others, lr=recipe.other_lr, betas=(0.9, 0.95), weight_decay=0.0), recipe.other_lr),
    ]


def _backward(model: LlamaForCausalLM, batch: Batch, *, in_bf16: bool) -> float:
    """Fills the gradients and returns the mean loss of the assistant's tokens."""
    weights = batch.weights[:, 1:]
    chosen = weights > 0
    with torch.autocast("cpu", torch.bfloat16, enabled=in_bf16):
        hidden = model.model(input_ids=batch.ids, use_cache=False)[0][:, :-1]
        logits = hidden[chosen] @ model.lm_head.weight.t()
    losses = F.cross_entropy(logits.float(), batch.ids[:, 1:][chosen], reduction="none")
    weights = weights[chosen]
    ((losses * weights).sum() / weights.sum()).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    return float(losses.detach()[weights == 1].mean())


def _save(model: LlamaForCausalLM, folder: Path) -> None:
    model.to(torch.bfloat16).save_pretrained(folder)
    # The engine takes sampling defaults from this file; with none in it, a request's own settings hold.
    config = model.config
    ids = {
        "bos_token_id": config.bos_token_id,
        "eos_token_id": config.eos_token_id,
        "pad_token_id": config.pad_token_id,
    }
    (folder / "generation_config.json").write_text(json.dumps(ids, indent=2) + "\n")
