"""S3 buckets: their options for each library, their tables, and whether they can keep two writers apart.

What does not belong here: folders (`folders.py`), what is inside a table (`lake.py`), single documents
(`documents.py`).

Two writers of one table are kept apart by conditional PUT: a commit is an object that is created only if there is none
of its name. A store that ignores the condition would let one commit replace another, so it is refused.
"""

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from factor_assets.errors import ConnectionLostError, StoreError
from factor_assets.storage.failures import bucket_advice, bucket_reason, is_lost
from factor_assets.store_settings import is_bucket
from factor_assets.tables import FACTOR_PREFIX, LIBRARY_PREFIX, TABLES, is_declared

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_REQUESTS_AT_ONCE = 16
_FIRST_COMMIT = "_delta_log/00000000000000000000.json"
_proven: set[tuple[str, str]] = set()


def open_bucket(uri: str, options: Mapping[str, str]) -> "ObjectStore":
    """Return the objects below a URI.

    Parameters
    ----------
    options
        Of `s3_options`.
    """
    from obstore.store import S3Store

    config: dict[str, Any] = dict(options)
    config.pop("aws_allow_http", None)
    retries = config.pop("max_retries", "")
    return S3Store.from_url(
        uri,
        config=config,  # type: ignore[arg-type] # names as strings
        # Whoever names an endpoint with http:// means it; the environment's permission is not read here.
        client_options={"allow_http": True},
        retry_config={"max_retries": int(retries)} if retries else None,
    )


def polars_options(options: Mapping[str, str]) -> dict[str, str | int] | None:
    """Return the options as polars wants them: with a number as a number."""
    return {name: int(value) if name == "max_retries" else value for name, value in options.items()} or None


def require_bucket(root: str) -> None:
    """Refuse a URI that is no bucket, or whose prefix the libraries spell differently.

    Raises
    ------
    StoreError
        Says what a root looks like.
    """
    prefix = root.removeprefix("s3://").partition("/")[2]
    if not is_bucket(root) or not re.fullmatch(r"[\w/.=-]*", prefix, flags=re.ASCII):
        raise StoreError(
            f"A lake in a bucket is s3://bucket/prefix, with letters, digits and - _ . = / in the prefix and no part"
            f" that is empty, . or ..; got {root!r}. Set `store.path`."
        )


def written_tables_of_bucket(root: str, options: Mapping[str, str]) -> Iterator[str]:
    """Yield the name of each written table below a root; a stray prefix that no table can be called is none.

    Raises
    ------
    StoreError
        If the bucket cannot be listed.
    """
    import obstore

    def below(prefix: str) -> list[str]:
        return [path.rstrip("/") for path in obstore.list_with_delimiter(store, prefix or None)["common_prefixes"]]

    def is_written(table: str) -> bool:
        try:
            obstore.head(store, f"{table}/{_FIRST_COMMIT}")
        except FileNotFoundError:
            return False
        return True

    try:
        store = open_bucket(root, options)
        top = {*below("")}
        with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
            families = below(FACTOR_PREFIX) if FACTOR_PREFIX.rstrip("/") in top else []
            named = [name for names in pool.map(below, families) for name in names]
            libraries = below(LIBRARY_PREFIX) if LIBRARY_PREFIX.rstrip("/") in top else []
            candidates = [*sorted(top & set(TABLES)), *filter(is_declared, (*named, *libraries))]
            written = list(pool.map(is_written, candidates))
    except Exception as error:
        raise explained_bucket(error, f"The lake {root} cannot be listed") from error
    yield from (name for name, is_there in zip(candidates, written, strict=True) if is_there)


def require_conditional_put(root: str, options: Mapping[str, str]) -> None:
    """Refuse a store that lets two writers create one object; what was found good is not asked again.

    Raises
    ------
    StoreError
        If the store cannot keep writers apart, or cannot be written at all.
    """
    known = (root, options.get("aws_endpoint", ""))
    if known in _proven:
        return
    if not has_conditional_put(root, options):
        raise StoreError(
            f"The store at {root} has no conditional PUT: it let an object be created twice, so that two writers would"
            " overwrite each other's commits. Use AWS S3 or another store that honours `If-None-Match: *`, or a folder."
        )
    _proven.add(known)


def has_conditional_put(root: str, options: Mapping[str, str]) -> bool:
    """Try it: create one object twice, and delete it.

    Raises
    ------
    StoreError
        If it cannot be tried.
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError

    probe = f"_probes/{uuid4().hex}"
    try:
        store = open_bucket(root, options)
        try:
            # Refused the first time, the key was taken by our own attempt whose answer was lost: a proof as well.
            for _ in range(2):
                obstore.put(store, probe, b"", mode="create")
        except AlreadyExistsError:
            return True
        finally:
            obstore.delete(store, probe)
    except Exception as error:
        raise explained_bucket(error, f"The store at {root} cannot be written") from error
    return False


def explained_bucket(error: Exception, what: str) -> StoreError:
    """Return a failure of a bucket in words; a ConnectionLostError if it may pass by itself."""
    advice = bucket_advice(str(error)) or "Check s3.endpoint, the network and the credentials, and run again."
    kind = ConnectionLostError if is_lost(str(error)) else StoreError
    return kind(f"{what}: {bucket_reason(str(error))} {advice}")
