"""`Documents`: raw bytes by key, in a folder or a bucket: answers of services, filings, reports, model answers.

A key is written once: what a service delivered is never changed. What does not belong here: tables (`store.py`), and
what the bytes mean.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factor_assets.errors import DocumentError, DocumentNotFoundError

if TYPE_CHECKING:
    from obstore.store import ObjectStore


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """What a listing says of one document.

    Parameters
    ----------
    key
        Path below the root, parts joined by `/`.
    etag
        Version: another one means other bytes. In a folder it is made of size and time of change.
    """

    key: str
    size: int
    etag: str
    modified: datetime


class Documents:
    """Documents below a folder or `s3://bucket/prefix`.

    Parameters
    ----------
    root
        Folder, which is created on the first write, or an S3 URI. Credentials, region and endpoint of S3 come from the
        environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL, AWS_ALLOW_HTTP) or from
        the machine's role.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._opened: ObjectStore | None = None

    def put(self, key: str, content: bytes, *, replace: bool = False) -> bool:
        """Store a document whole, or not at all; return whether it was stored.

        Parameters
        ----------
        replace
            By default a key that is there stays as it is, and the answer is False.

        Raises
        ------
        DocumentError
            If the folder or bucket cannot be written.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError

        try:
            obstore.put(self._store(create=True), key, content, mode="overwrite" if replace else "create")
        except AlreadyExistsError:
            return False
        except Exception as error:
            raise self._explained(error, f"write {key}") from error
        return True

    def get(self, key: str) -> bytes:
        """Return the bytes of a document.

        Raises
        ------
        DocumentNotFoundError
            If there is none of that key.
        DocumentError
            If the folder or bucket cannot be read.
        """
        import obstore

        try:
            return bytes(obstore.get(self._store(), key).bytes())
        except FileNotFoundError:
            raise DocumentNotFoundError(f"There is no document {key!r} in {self.root}.") from None
        except Exception as error:
            raise self._explained(error, f"read {key}") from error

    def has(self, key: str) -> bool:
        """Whether there is a document of that key.

        Raises
        ------
        DocumentError
            If the folder or bucket cannot be read.
        """
        import obstore

        try:
            obstore.head(self._store(), key)
        except FileNotFoundError:
            return False
        except Exception as error:
            raise self._explained(error, f"read {key}") from error
        return True

    def list(self, prefix: str = "", *, after: str | None = None) -> Iterator[DocumentInfo]:
        """Yield the documents below a prefix of whole parts, in no promised order.

        Parameters
        ----------
        after
            Only keys that come after this one in the alphabet.

        Raises
        ------
        DocumentError
            If the folder or bucket cannot be read. A folder that does not exist has no documents.
        """
        import obstore

        if "://" not in self.root and not Path(self.root).is_dir():
            return
        try:
            for batch in obstore.list(self._store(), prefix or None, offset=after):
                for found in batch:
                    yield _info(found)
        except Exception as error:
            raise self._explained(error, "list documents") from error

    def _store(self, *, create: bool = False) -> "ObjectStore":
        if self._opened is None:
            from obstore.store import LocalStore, S3Store

            if "://" in self.root:
                self._opened = S3Store.from_url(self.root)
            elif create or Path(self.root).is_dir():
                self._opened = LocalStore(str(Path(self.root).expanduser().absolute()), mkdir=True)
            else:
                raise FileNotFoundError(self.root)
        return self._opened

    def _explained(self, error: Exception, what: str) -> DocumentError:
        # The library's text has the request; headers with credentials are not in it.
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return DocumentError(
            f"Cannot {what} in {self.root}: {first} Check that it exists and may be used"
            f"{', and AWS_ENDPOINT_URL, AWS_REGION and the credentials' if '://' in self.root else ''}."
        )


def _info(found: Any) -> DocumentInfo:
    modified = found["last_modified"]
    etag = found.get("e_tag") or f"{found['size']}-{modified.timestamp():.6f}"
    return DocumentInfo(key=found["path"], size=found["size"], etag=etag.strip('"'), modified=modified)
