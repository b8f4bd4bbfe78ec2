"""The price table of a dealership, from its folder."""

import tomllib
from pathlib import Path

from pydantic import ValidationError

from gateway.costs import PriceTable

FILE = "prices.toml"


def load(folder: Path) -> PriceTable:
    """Raises ValueError, naming the file and each bad key."""
    path = folder / FILE
    try:
        return PriceTable.model_validate(tomllib.loads(path.read_text("utf-8")))
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise ValueError(f"{path}: {'; '.join(problems)}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error
