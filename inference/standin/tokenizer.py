"""The tokenizer: byte-level BPE with Llama 3's special tokens and single digits, trained on invented dialogues.

Writes `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja`. Digits are single tokens so that a price can
be copied digit by digit; runs of newlines never merge with text, so that a prompt is tokenized the same whether or not
an answer follows its last header. What answers copy, names above all, has the same tokens behind a space in a sentence
and behind a quotation mark in JSON: to a small model ` Toyota` and `Toyota` would be two words with nothing in common.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from inference.standin.conversation import NAMES
from inference.standin.dialogues import invent_dialogue
from inference.standin.drills import WORDS, drill
from inference.standin.lookups import CITIES, TOOLS
from inference.standin.stock import BODY_STYLES, CATALOGUE, COLORS, TRIMS

VOCABULARY = 2048
POSITIONS = 4096
TEMPLATE = Path(__file__).with_name("chat_template.jinja")
BEGIN, END, START_HEADER, END_HEADER, END_OF_TURN, END_OF_MESSAGE, PYTHON_TAG, PAD = SPECIAL_TOKENS = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|python_tag|>",
    "<|finetune_right_pad_id|>",
)
# Words that no dialogue contains, so that a customer's own words do not all fall apart into bytes.
PLAIN_ENGLISH = (
    "the of and to in is you that it he was for on are as with his they at be this have from or one "
    "had by word but not "
    "what all were we when your can said there use an each which she do how their if will up other about out many then "
    "them these so some her would make like him into time has look two more write go see number no "
    "could people my than "
    "first been call who its now find long down day did get come made may part over new sound take only little work "
    "know place year live me back give most very after thing our just name good sentence man think "
    "say great where help "
    "through much before line right too mean old any same tell boy follow came want show also around form three small "
    "set put end does another well large must big even such because turn here why ask went men read "
    "need land different "
    "home us move try kind hand picture again change off play spell air away animal house point page letter mother "
    "answer found study still learn should world high every near add food between own below country plant last school"
).split()

# Lower-case words that stand both in sentences and in JSON. A plural is such a word and an "s".
COPIED = (*COLORS, *BODY_STYLES, "gas", "hybrid", "electric", "make", "model", "color", "year", "price", "mileage")
_COPIED = rf"(?:{'|'.join(COPIED)})(?=s?(?![\p{{L}}_]))"
_IDENTIFIER = r"\p{Ll}+(?:_\p{Ll}+)+"
# The pieces of a text, of which no token crosses the bounds; the first alternative that matches wins.
PIECES = "|".join(
    (
        r"\n+",
        r"\p{N}",
        rf" (?=\p{{Lu}}|\p{{N}}|{_COPIED}|{_IDENTIFIER})",  # the space before what is copied is a token of its own
        _COPIED,
        _IDENTIFIER,
        r"\p{Lu}+-\p{Lu}+(?!\p{L})",  # CR-V, EX-L
        r"'(?:s|t|re|ve|m|ll|d)(?!\p{L})",
        r" ?\p{L}+",
        r" ?[^\s\p{L}\p{N}]+",
        r"[^\S\n]+(?!\S)",
        r"[^\S\n]+",
    )
)


def train_tokenizer(folder: Path, seed: int) -> None:
    """Trains on dialogues drawn from `seed` and writes the tokenizer's files into `folder`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(Random(seed)), trainer)
    begin = (BEGIN, tokenizer.token_to_id(BEGIN))
    # As Llama 3 does: plain completions begin with the begin token; chat prompts bring it in their template.
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A {BEGIN}:1 $B:1", special_tokens=[begin]
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": POSITIONS,
        "bos_token": BEGIN,
        "eos_token": END_OF_TURN,
        "pad_token": PAD,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    shutil.copyfile(TEMPLATE, folder / TEMPLATE.name)


def _texts(rng: Random) -> Iterator[str]:
    for _ in range(8000):
        dialogue = invent_dialogue(rng)
        for message in dialogue.messages:
            call = message["tool_calls"][0]["function"] if "tool_calls" in message else None
            text = message["content"]
            if call:
                text = f'{{"name": "{call["name"]}", "parameters": {call["arguments"]}}}'
            yield f"{message['role']}\n\n{text}"
        for tool in dialogue.tools:
            yield f"{tool['function']['name']}({', '.join(tool['function']['parameters']['properties'])})"
    for _ in range(1000):
        yield from (message["content"] for message in drill(rng).messages)
    catalogue = [model.full_name for model in CATALOGUE]
    values = [*NAMES, *CITIES, *TRIMS, *COPIED, *TOOLS, *catalogue, *(name.lower() for name in catalogue)]
    for _ in range(150):
        yield " ".join([*PLAIN_ENGLISH, *WORDS])
        yield " ".join(values)  # often enough that each is one token
