"""Replace a file so that a reader sees the old or the new one, never a part."""

import os
import tempfile
from pathlib import Path

from factor_assets.errors import StoreError


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` to `path`, making its folder; a killed writer leaves the old file.

    Raises
    ------
    StoreError
        If the folder cannot be made or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror}. Give the folder write permission or choose another `home`."
        ) from error
