"""The logs of a stack: the last lines of one or all, and following them."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

FOLLOW_POLL_S = 0.25
CHUNK_BYTES = 64 * 1024


def last_lines(path: Path, count: int) -> list[str]:
    """The last `count` lines within the file's last 64 KiB; none when there is no file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - CHUNK_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-count:]


def keep_former(path: Path) -> None:
    """Begin a new log; the one before stays beside it as `<name>.log.1`."""
    if path.exists():
        path.replace(path.with_name(f"{path.name}.1"))


def show(paths: list[Path], count: int, *, follow: bool) -> None:
    """Print the last lines of each log, with its name in front where there are several; `follow` until interrupted."""
    ends = {path: path.stat().st_size for path in paths}
    write = _prefixed if len(paths) > 1 else _plain
    for path in paths:
        write(path, "".join(f"{line}\n" for line in last_lines(path, count)))
    while follow:
        time.sleep(FOLLOW_POLL_S)
        for path in paths:
            ends[path] = _print_from(path, ends[path], write)


def _print_from(path: Path, start: int, write: Callable[[Path, str], None]) -> int:
    """Print what was added after `start`, up to the last whole line; returns where to go on."""
    if not path.exists() or path.stat().st_size < start:
        return 0
    with path.open("rb") as file:
        file.seek(start)
        text, newline, _ = file.read().rpartition(b"\n")
    write(path, (text + newline).decode(errors="replace"))
    return start + len(text) + len(newline)


def _plain(_: Path, text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _prefixed(path: Path, text: str) -> None:
    for line in text.splitlines():
        sys.stdout.write(f"{path.stem:<12} | {line}\n")
    sys.stdout.flush()
