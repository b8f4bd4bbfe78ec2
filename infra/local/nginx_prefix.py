"""nginx's folder, made by the same command as on the GPU host, and the rights it is run with."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

from inference.marks import MARKS_DIR
from infra.local.plan import NOBODY, nginx_prefix, nginx_site
from infra.local.settings import NginxAccount, StackSettings
from infra.local.state import StateDir


class PrefixFailed(Exception):
    """`python -m inference nginx` refused; the message is its own."""


def account_for(state_dir: Path) -> NginxAccount:
    """Whose rights nginx gets: ours, unless we are root; then nobody's, where nobody can reach the directory."""
    if os.geteuid() != 0:
        return NginxAccount.SAME
    reachable = all(_others_may_enter(path) for path in [state_dir, *state_dir.parents] if path.exists())
    return NginxAccount.NOBODY if reachable and shutil.which("setpriv") else NginxAccount.ROOT


def prepare(settings: StackSettings) -> None:
    """Write the prefix and give it to the account that nginx runs as. Raises `PrefixFailed`."""
    prefix = nginx_prefix(settings.state_dir)
    # Marks of a drain outlive nginx, but not the stack: its new gateway knows of none.
    shutil.rmtree(prefix / MARKS_DIR, ignore_errors=True)
    done = subprocess.run(
        nginx_site(settings), cwd=settings.root, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise PrefixFailed(f"nginx's configuration could not be made: {(done.stderr or done.stdout).strip()}")
    if settings.nginx_account is NginxAccount.NOBODY:
        # Its log too: nginx opens its standard output once more, by name.
        log = StateDir(settings.state_dir).log("nginx")
        log.touch()
        for path in [log, prefix, *prefix.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)


def _others_may_enter(directory: Path) -> bool:
    return bool(directory.stat().st_mode & stat.S_IXOTH)
