"""What the Delta and Parquet libraries raise, as a `StoreError` that says what to do.

What does not belong here: which failures are tried again (`lake.py`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import polars as pl
from deltalake.exceptions import CommitFailedError, DeltaError

from factor_assets.errors import StoreError

_WRITABLE = "Check that the folder is writable and the disk not full, or set `home` or `store.path` to another folder."
_ADVICE = {
    "opened": "Its log is damaged or not readable: delete the folder and materialise the table again.",
    "read": "Maintenance deletes the files of old versions: read a newer one. If this is the newest, files were lost:"
    " delete the folder and materialise the table again.",
    "written": _WRITABLE,
    "maintained": _WRITABLE,
}


@contextmanager
def explained(table: str, location: str, done: Literal["opened", "read", "written", "maintained"]) -> Iterator[None]:
    """Turn what the libraries raise into a StoreError; a lost race passes through as CommitFailedError.

    Parameters
    ----------
    done
        What is being done with the table.
    """
    try:
        yield
    except CommitFailedError:
        raise
    except (DeltaError, OSError, pl.exceptions.PolarsError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        if "already exists" in reason:
            raise CommitFailedError(reason) from error
        raise StoreError(f"Table {table!r} at {location} cannot be {done}: {reason} {_ADVICE[done]}") from error
