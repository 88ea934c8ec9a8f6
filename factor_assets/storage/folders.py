"""The lake's folder: whether it can be used, and which of its folders are tables.

What does not belong here: what is inside a table's folder (`lake.py`, `layout.py`), buckets (`buckets.py`).
"""

from collections.abc import Iterator
from pathlib import Path

from factor_assets.errors import StoreError
from factor_assets.tables import FACTOR_PREFIX, LIBRARY_PREFIX, TABLES, is_declared

# Tried one by one with deltalake 1.6: the library panics on these, or writes to another folder.
_REFUSED = "%[]^|\\?#"


def written_tables(root: Path) -> Iterator[str]:
    """Yield the name of each written table below a folder; a stray folder that no table can be called is none."""
    named = (folder for pattern in (f"{FACTOR_PREFIX}*/*", f"{LIBRARY_PREFIX}*") for folder in root.glob(pattern))
    for name in (*TABLES, *(folder.relative_to(root).as_posix() for folder in named)):
        if is_declared(name) and next((root / name / "_delta_log").glob("*.json"), None) is not None:
            yield name


def require_usable(root: Path) -> None:
    """Refuse a folder that the Delta library cannot open.

    Raises
    ------
    StoreError
        If it lies under a file or has a sign in its name that the library cannot open.
    """
    refused = sorted(set(str(root)) & set(_REFUSED))
    if refused:
        raise StoreError(
            f"The lake's folder {root} has {' '.join(refused)} in its name, which the Delta library cannot open;"
            " set `home` to another."
        )
    existing = next(path for path in (root, *root.parents) if path.exists())
    if not existing.is_dir():
        raise StoreError(
            f"The lake's folder {root} cannot be used: {existing} is a file. Set `home` or `store.path` to a folder."
        )
