"""Find the rules and templates: a configured folder first, then those that ship.

An operator overrides file by file: what the configured folder lacks comes from the package.
"""

from importlib.resources import files
from pathlib import Path


def shipped_folder(name: str) -> Path:
    """Return the folder `name` ('rules' or 'templates') that came with mailflow.

    In an installed wheel it lies inside the package; in a checkout at the top level.
    """
    inside = Path(str(files("mailflow"))) / "_data" / name
    if inside.is_dir():
        return inside
    return Path(__file__).resolve().parent.parent / name


def find_data_file(name: str, relative: str, override: Path | None = None) -> Path | None:
    """Return the file `relative` of the folder `name`, from `override` if it is there."""
    for folder in (override, shipped_folder(name)):
        if folder is not None and (folder / relative).is_file():
            return folder / relative
    return None
