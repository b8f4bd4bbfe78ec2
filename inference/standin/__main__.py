"""`python -m inference.standin make | evaluate | talk`: make the stand-in's files, measure them, try them.

`make` reproduces the committed folders from nothing: tokenizer, training, quantizing. It needs the engine's
environment (torch, transformers, tokenizers).
"""

import argparse
import json
from pathlib import Path

import torch

from inference.standin.evaluation import HELD_OUT_SEED, evaluate
from inference.standin.quantize import quantize
from inference.standin.speaking import Speaker
from inference.standin.tokenizer import train_tokenizer
from inference.standin.training import Recipe, train

HERE = Path(__file__).parent
MODEL = HERE / "model"
INT8 = HERE / "model-int8"


def make(folder: Path, int8: Path, recipe: Recipe) -> None:
    """Writes both model folders, and what was measured on the way into `training.json` beside the first."""
    train_tokenizer(folder, recipe.seed)
    facts = train(folder, recipe)
    facts["second_run"] = train(folder, recipe.second(), go_on=True)
    quantize(folder, int8)
    facts["cpu"] = torch.backends.cpu.get_cpu_capability()
    facts["torch"] = torch.__version__
    (folder.parent / "training.json").write_text(json.dumps(facts, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m inference.standin", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="train from nothing (about half an hour) and quantize")
    making.add_argument("--model", type=Path, default=MODEL)
    making.add_argument("--int8", type=Path, default=INT8)
    making.add_argument("--steps", type=int, default=Recipe.steps, help="fewer make a worse model sooner")
    measuring = commands.add_parser("evaluate", help="print the share of right answers per skill")
    measuring.add_argument("--model", type=Path, default=MODEL)
    measuring.add_argument("--count", type=int, default=100, help="prompts per skill")
    measuring.add_argument("--seed", type=int, default=HELD_OUT_SEED)
    talking = commands.add_parser("talk", help="print one answer")
    talking.add_argument("message")
    talking.add_argument("--model", type=Path, default=MODEL)
    talking.add_argument("--temperature", type=float, default=0.0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # on so small a model a second thread only waits
    if arguments.command == "make":
        make(arguments.model, arguments.int8, Recipe(steps=arguments.steps))
    elif arguments.command == "evaluate":
        for skill, share in evaluate(Speaker(arguments.model), arguments.count, arguments.seed):
            print(f"| {skill} | {share:.0%} |", flush=True)
    else:
        text, _ = Speaker(arguments.model).answer(
            [{"role": "user", "content": arguments.message}], temperature=arguments.temperature
        )
        print(text)


if __name__ == "__main__":
    main()
