"""What a replica is asked when a customer opens a conversation, so that its answer's twin can be told."""

import time
from typing import Any

from gateway.dealership import hours, prompt
from gateway.settings import DEALERSHIP_DIR

_PROMPT = prompt.load(DEALERSHIP_DIR, hours.load(DEALERSHIP_DIR))


def conversation(message: str) -> list[dict[str, Any]]:
    """The messages of a first question on this day."""
    instructions = {"role": "system", "content": _PROMPT.system_message(time.time())}
    return [instructions, {"role": "user", "content": message}]
