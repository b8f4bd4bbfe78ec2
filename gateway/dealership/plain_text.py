"""Text of customers, models and rows, made plain before a model or a table sees it. Pure.

A model's template marks its turns with special tokens such as `<|eot_id|>`, and an engine finds them in any text: a
vehicle's description could end the tool's turn and begin one of the system. Promises: nothing of the form `<|...|>` is
left, no sign that cannot be seen, and never more than the bound. The words stay: what they ask for, the role decides.
"""

import re

from gateway.dealership.spelling import clean

_TOKEN = re.compile(r"<\|[^<>|]{0,64}\|>")
_MARK = re.compile(r"<\||\|>")
_HIDDEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Joiners, fillers and variation selectors: letters and marks to Unicode, yet nothing to see. Words hide in them."""


def plain(text: str, max_chars: int) -> str:
    """`text` on one line, without special tokens and hidden signs; one that was cut ends in an ellipsis."""
    # What is looked at is bounded too; eight times the bound leaves enough of any honest text.
    seen = _HIDDEN.sub("", clean(text[: max_chars * 8]))
    # A space in the place of what goes: what stood on both sides of it cannot join to another token.
    words = " ".join(_MARK.sub(" ", _TOKEN.sub(" ", seen)).split())
    return words if len(words) <= max_chars else words[: max_chars - 1].rstrip() + "…"
