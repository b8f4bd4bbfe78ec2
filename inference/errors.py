"""What an operator of `python -m inference` can get wrong.

Each error carries one message that says what is wrong and what to do about it. `__main__` prints that
message and ends with exit code 2; nothing else in the package prints or exits.
"""


class InferenceError(Exception):
    """Base of every mistake that the command line reports in one message and exit code 2."""


class ProfileNotFound(InferenceError):
    """No profile of that name, or no file at that path."""


class ProfileInvalid(InferenceError):
    """The profile is not TOML, or a key in it is unknown, missing, of the wrong type or contradicts another."""


class ModelMissing(InferenceError):
    """The folder that should hold the weights is not there, or holds no model."""


class EngineMissing(InferenceError):
    """The chosen Python interpreter does not exist or has no vLLM."""


class KeyMissing(InferenceError):
    """vLLM would start without an API key."""
