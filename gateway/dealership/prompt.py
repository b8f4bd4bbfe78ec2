"""Scout's instructions: how a customer's message becomes a conversation with the model."""

from typing import Any

SYSTEM_PROMPT = (
    "You are Scout, the virtual assistant of Summit Drive Motors. Be concise and friendly. "
    "If you are not sure, offer to connect the customer with a person. Do not make up prices."
)


def conversation(message: str) -> list[dict[str, Any]]:
    """The messages for one question without history."""
    return [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": message}]
