"""Keys of the local stack: made once by chance, kept in files that only their owner may read."""

import secrets
from pathlib import Path

from infra.local.plan import KeyFiles
from infra.local.state import write_whole


def ensure_keys(files: KeyFiles) -> None:
    """Make the keys that are missing; existing ones stay, so that a client's key outlives a restart."""
    each = {"scout": files.clients, "admin": files.admin, "onprem": files.onprem, "engine": files.engine}
    for whose, path in each.items():
        if not path.exists():
            write_whole(path, f"sk-{whose}-{secrets.token_urlsafe(24)}\n", mode=0o600)


def first_key(path: Path) -> str:
    """The first key of a file: `key` or `name key` a line, `#` starts a comment line. Raises ValueError for no key."""
    for line in path.read_text().splitlines():
        words = line.split()
        if words and not words[0].startswith("#"):
            return words[-1]
    raise ValueError(f"{path} holds no key")
