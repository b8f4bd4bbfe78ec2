"""Where the operator's commands find what they work on: the database and the dealership's own files."""

from collections.abc import Mapping
from pathlib import Path

DATABASE_URL = "sqlite:///.scout/gateway.db"
DEALERSHIP_DIR = Path(__file__).parent.parent / "dealership"


def database_url(environ: Mapping[str, str]) -> str:
    """The database, in SQLAlchemy's terms."""
    return environ.get("SCOUT_DATABASE_URL") or DATABASE_URL


def dealership_dir(environ: Mapping[str, str]) -> Path:
    """The folder of the dealership: prompt, opening hours, prices."""
    return Path(environ.get("SCOUT_DEALERSHIP_DIR") or DEALERSHIP_DIR)
