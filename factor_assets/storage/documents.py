"""`Documents`: raw bytes by key, in a folder or a bucket: answers of services, filings, reports, model answers.

A key is written once: what a service delivered is never changed. What does not belong here: tables (`store.py`), and
what the bytes mean.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from factor_assets.errors import DocumentError, DocumentNotFoundError
from factor_assets.storage.buckets import explained_bucket, open_bucket
from factor_assets.storage.failures import is_lost
from factor_assets.store_settings import absolute_place, require_place

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


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
        Folder, which is created on the first write and may begin with `~`, or an S3 URI. Credentials, and region and
        endpoint where the options do not give them, come from the environment (AWS_ACCESS_KEY_ID,
        AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL, AWS_ALLOW_HTTP) or from the machine's role.
    options
        Of `s3_options`; for a folder they do nothing.

    A key is parts joined by `/`: none of them empty, `.` or `..`, none with a control character.

    Raises
    ------
    DocumentError
        If the root is neither a folder nor an S3 URI, and from every method if a key is none.
    """

    def __init__(self, root: str, *, options: Mapping[str, str] = MappingProxyType({})) -> None:
        try:
            # Once for all methods: what is written must be where it is listed.
            self.root = absolute_place(require_place(root), Path().absolute())
        except ValueError as error:
            raise DocumentError(f"Documents: {error}.") from None
        self._is_bucket = "://" in self.root
        self._options = dict(options)
        self._opened: ObjectStore | None = None

    def put(self, key: str, content: bytes, *, replace: bool = False) -> bool:
        """Store a document whole, or not at all; return whether it was stored.

        Parameters
        ----------
        replace
            By default a key that is there stays as it is, and the answer is False; in a bucket True where it holds
            the same bytes, for a request may arrive and its answer be lost.

        Raises
        ------
        DocumentError
            If the folder or bucket cannot be written.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError

        _require_key(key)
        try:
            # Large documents go in parts where they may replace another; a condition wants one request.
            obstore.put(self._store(create=True), key, content, mode="overwrite" if replace else "create")
        except AlreadyExistsError:
            return self._is_bucket and self._holds(key, content)
        except Exception as error:
            raise self._explained(error, f"write {key}") from error
        return True

    def delete(self, key: str) -> None:
        """Delete a document; nothing happens where there is none.

        Raises
        ------
        DocumentError
            If the folder or bucket cannot be written.
        """
        import obstore

        _require_key(key)
        try:
            obstore.delete(self._store(), key)
        except FileNotFoundError:
            return
        except Exception as error:
            raise self._explained(error, f"delete {key}") from error

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

        _require_key(key)
        try:
            return bytes(obstore.get(self._store(), key).bytes())
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._explained(error, f"read {key}") from error
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

        _require_key(key)
        try:
            obstore.head(self._store(), key)
        except FileNotFoundError:
            # The answer to HEAD has no body: a bucket that is not there looks like a key that is not.
            next(self.list("_no_such_prefix"), None)
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

        if prefix:
            _require_key(prefix.removesuffix("/"))
        if not self._is_bucket and not Path(self.root).is_dir():
            return
        retries = int(self._options.get("max_retries", 0)) if self._is_bucket else 0
        last, lost = after, 0
        while True:
            try:
                for batch in obstore.list(self._store(), prefix or None, offset=last):
                    for found in batch:
                        yield _info(found)
                        last = found["path"]
            except Exception as error:
                # A bucket lists in the order of the alphabet: go on behind the last one.
                if lost >= retries or not is_lost(str(error)):
                    raise self._explained(error, "list documents") from error
                lost += 1
            else:
                return

    def _holds(self, key: str, content: bytes) -> bool:
        """Whether the document is this one: our own, stored by a request whose answer was lost."""
        import obstore

        try:
            return obstore.head(self._store(), key)["size"] == len(content) and self.get(key) == content
        except FileNotFoundError:
            return False
        except DocumentError:
            raise
        except Exception as error:
            raise self._explained(error, f"write {key}") from error

    def _store(self, *, create: bool = False) -> "ObjectStore":
        if self._opened is None:
            from obstore.store import LocalStore

            if self._is_bucket:
                self._opened = open_bucket(self.root, self._options)
            elif create or Path(self.root).is_dir():
                self._opened = LocalStore(self.root, mkdir=True)
            else:
                raise FileNotFoundError(self.root)
        return self._opened

    def _explained(self, error: Exception, what: str) -> DocumentError:
        if self._is_bucket:
            return DocumentError(str(explained_bucket(error, f"Cannot {what} in {self.root}")))
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return DocumentError(f"Cannot {what} in {self.root}: {first} Check that it exists and may be used.")


def _require_key(key: str) -> None:
    """Refuse what would be another document in a folder than in a bucket, or one outside the root."""
    if {"", ".", ".."} & set(key.split("/")) or _CONTROL.search(key):
        raise DocumentError(
            "A document's key wants parts joined by /, none of them empty, . or .., without control characters; got"
            f" {key!r}."
        )


def _info(found: Any) -> DocumentInfo:
    modified = found["last_modified"]
    etag = found.get("e_tag") or f"{found['size']}-{modified.timestamp():.6f}"
    return DocumentInfo(key=found["path"], size=found["size"], etag=etag.strip('"'), modified=modified)
