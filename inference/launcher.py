"""Look before the leap: check what vLLM would only find out after seconds of importing, then become vLLM.

`become` replaces this process. There is no parent that could outlive the engine or die before it: the process id that
a supervisor or a container started is vLLM's own, and so are its signals and its exit code.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from inference.command import KEY_VARIABLE, Command
from inference.errors import EngineMissing, KeyMissing, ModelMissing
from inference.nginx_keys import parse_engine_key
from inference.profile import Profile

KEY_FILE_VARIABLE = f"{KEY_VARIABLE}_FILE"

# find_spec looks for the package without importing it: milliseconds instead of ten seconds.
_HAS_VLLM = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"


def engine_interpreter(environ: Mapping[str, str]) -> str:
    """Absolute path of the Python that has vLLM: SCOUT_ENGINE_PYTHON (a path, or a name on the PATH), else our own.

    Links are kept: a virtual environment's python is one, and its target is a Python without the environment.
    """
    chosen = environ.get("SCOUT_ENGINE_PYTHON") or sys.executable
    return os.path.abspath(shutil.which(chosen) or chosen)


def require_model(profile: Profile, folder: Path) -> None:
    """Raise ModelMissing unless the folder holds a checkpoint's config.json."""
    if (folder / "config.json").is_file():
        return
    state = "has no config.json" if folder.is_dir() else "does not exist"
    advice = "point --model-dir or SCOUT_MODEL_DIR at the folder with the weights"
    if profile.model.repository is not None:
        revision = profile.model.revision or "THE_COMMIT_YOU_REVIEWED"
        advice += f", or fetch them: hf download {profile.model.repository} --revision {revision} --local-dir {folder}"
    raise ModelMissing(f"the model folder {folder} of profile {profile.name} {state}: {advice}")


def require_engine(interpreter: str) -> None:
    """Raise EngineMissing unless the interpreter runs and can find vLLM."""
    advice = "set SCOUT_ENGINE_PYTHON to the Python of the environment that has it"
    try:
        found = subprocess.run(
            [interpreter, "-c", _HAS_VLLM], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError as exc:
        raise EngineMissing(f"cannot run the engine's interpreter {interpreter} ({exc.strerror}): {advice}") from exc
    if found.returncode:
        raise EngineMissing(f"{interpreter} has no vLLM: {advice}")


def key_from_file(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment, with the key of the file that VLLM_API_KEY_FILE names as VLLM_API_KEY.

    Containers get their secrets as files, so that a container's description does not hold them; vLLM reads the variable
    only. Without the file's variable nothing changes. Raises KeyMissing for a file that cannot be read, and when both
    are set: one of the two would be the wrong key. Raises KeysInvalid for a file without a usable key.
    """
    file = environ.get(KEY_FILE_VARIABLE)
    if not file:
        return dict(environ)
    if environ.get(KEY_VARIABLE):
        raise KeyMissing(f"{KEY_VARIABLE} and {KEY_FILE_VARIABLE} are both set: keep one")
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise KeyMissing(f"{KEY_FILE_VARIABLE}: {exc}") from exc
    return {**environ, KEY_VARIABLE: parse_engine_key(text, file)}


def require_key(environ: Mapping[str, str]) -> None:
    """Raise KeyMissing unless the engine will ask for a key.

    A refusal and no warning: without the variable vLLM serves everybody who reaches the port, and says nothing.
    """
    if not environ.get(KEY_VARIABLE, "").strip():
        raise KeyMissing(
            f"{KEY_VARIABLE} is not set, so vLLM would answer anybody: set it to the key that nginx sends, "
            f"or {KEY_FILE_VARIABLE} to a file that holds it, or pass --no-key for an open engine on a machine that is "
            "yours alone"
        )


def become(command: Command, environ: Mapping[str, str]) -> NoReturn:
    """Replace this process by the command. The profile's environment wins over the inherited one, as when pasted."""
    os.execve(command.argv[0], command.argv, {**environ, **command.environment})  # noqa: S606  a list of arguments, no shell
