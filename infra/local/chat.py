"""`chat`: one question, or a prompt, answered through the gateway's `POST /api/chat` as it is generated."""

import json
import sys

import httpx
from rich.console import Console

from infra.local.complaint import complain
from infra.local.environment_file import parse
from infra.local.state import StateDir

# The gateway has its own, shorter, clocks; this one only keeps a prompt from hanging for ever.
TIMEOUT_S = 300.0


class ChatFailed(Exception):
    """The question was not answered; the message says why."""


def chat(state: StateDir, console: Console, message: str | None) -> int:
    """Returns the exit code."""
    try:
        env = parse(state.env.read_text())
    except FileNotFoundError:
        complain("the stack is not up: start it with ./scout up")
        return 1
    try:
        if message is not None:
            ask(env["SCOUT_URL"], env["SCOUT_KEY"], message)
        else:
            _converse(env["SCOUT_URL"], env["SCOUT_KEY"], console)
    except ChatFailed as error:
        complain(str(error))
        return 1
    return 0


def ask(url: str, key: str, message: str) -> None:
    """Print the answer piece by piece. Raises `ChatFailed`."""
    headers = {"Authorization": f"Bearer {key}"}
    try:
        with (
            httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client,
            client.stream("POST", f"{url}/api/chat", headers=headers, json={"message": message}) as response,
        ):
            if not response.is_success:
                raise ChatFailed(_explain(response.status_code, response.read()))
            for text in response.iter_text():
                sys.stdout.write(text)
                sys.stdout.flush()
    except httpx.ConnectError as error:
        raise ChatFailed(f"nothing listens at {url}: see ./scout status, start it with ./scout up") from error
    except httpx.HTTPError as error:
        raise ChatFailed(f"the answer broke off: {error or type(error).__name__}") from error
    sys.stdout.write("\n")


def _converse(url: str, key: str, console: Console) -> None:
    console.print("Ask Scout something; Ctrl-D leaves.", style="dim")
    while True:
        try:
            message = input("you> ").strip()
        except EOFError:
            console.print()
            return
        if not message:
            continue
        try:
            ask(url, key, message)
        except ChatFailed as error:
            complain(str(error))


def _explain(status: int, body: bytes) -> str:
    try:
        error = json.loads(body)["error"]
        return f"the gateway answered {status} ({error['code']}): {error['message']}"
    except (ValueError, KeyError, TypeError):
        return f"the gateway answered {status}"
