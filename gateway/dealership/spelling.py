"""How words are compared: without case, accents, hyphens or invisible characters, and with one slip of the finger.

Pure. What is compared is never what is shown: a name keeps its own spelling ("CR-V"), its key is "cr v", and squashed
it is "crv".
"""

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+")
_BREAKS = frozenset({"Cc", "Zl", "Zp"})
_INVISIBLE = frozenset({"Cf", "Cn", "Co", "Cs"})


def clean(text: str) -> str:
    """`text` on one line, with single spaces, and without what nobody can see (control, zero-width, direction)."""
    if text.isascii() and text.isprintable():  # nearly all of it, and twenty times as fast
        return " ".join(text.split())
    kinds = ((character, unicodedata.category(character)) for character in unicodedata.normalize("NFC", text))
    seen = "".join(" " if kind in _BREAKS else character for character, kind in kinds if kind not in _INVISIBLE)
    return " ".join(seen.split())


def key(text: str) -> str:
    """The words of `text`, in small letters and digits without accents, with single spaces between them."""
    bare = unicodedata.normalize("NFKD", text.casefold())
    return " ".join(_WORD.findall("".join(c for c in bare if not unicodedata.combining(c))))


def squash(text: str) -> str:
    """Its key without the spaces: "F-150", "F 150" and "f150" are one name."""
    return key(text).replace(" ", "")


def one_edit_apart(first: str, second: str) -> bool:
    """Whether one letter too many, too few or wrong, or two letters swapped, is all the difference. Equals are not."""
    shorter, longer = sorted((first, second), key=len)
    if first == second or len(longer) - len(shorter) > 1:
        return False
    same = next((at for at, pair in enumerate(zip(shorter, longer, strict=False)) if pair[0] != pair[1]), len(shorter))
    left, right = shorter[same:], longer[same:]
    if len(left) < len(right):
        return left == right[1:]
    swapped = left[:2] == right[1::-1] and left[2:] == right[2:]
    return left[1:] == right[1:] or swapped
