"""`probe_bucket`: try everything that we ask of a bucket, on an object of its own that is deleted again.

What does not belong here: what is said about the findings (`doctor_stores.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from uuid import uuid4

from factor_assets.errors import StoreError
from factor_assets.storage.buckets import explained_bucket, has_conditional_put, open_bucket

_TIMEOUT_S = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketProbe:
    """What a bucket does.

    Parameters
    ----------
    conditional_put
        Whether it refuses to create an object twice.
    skew
        The server's clock minus ours; None where the server does not tell.
    encryption
        How the server says that the object was encrypted; "" where it says nothing.
    """

    conditional_put: bool
    skew: timedelta | None
    encryption: str


def probe_bucket(root: str, options: Mapping[str, str]) -> BucketProbe:
    """Write, list, read and delete an object below a root.

    Raises
    ------
    StoreError
        If one of them fails; says which and what to do.
    """
    import httpx
    import obstore

    key, content = f"_probes/{uuid4().hex}", b"factor-assets doctor"
    doing = "written"
    try:
        store = open_bucket(root, options)
        obstore.put(store, key, content)
        try:
            doing = "listed"
            listed = [found["path"] for found in obstore.list_with_delimiter(store, "_probes")["objects"]]
            doing = "read"
            found = bytes(obstore.get(store, key).bytes())
            address = obstore.sign(store, "HEAD", key, timedelta(minutes=15))  # type: ignore[call-overload] # any store
            headers = httpx.head(address, timeout=_TIMEOUT_S).headers
            now = datetime.now(UTC)
        finally:
            if doing == "read":
                doing = "read, or the object deleted"
            obstore.delete(store, key)
    except Exception as error:
        raise explained_bucket(error, f"{root} cannot be {doing}") from error
    if found != content or key not in listed:
        raise StoreError(f"{root} does not show what was just written there; use a store that is strongly consistent.")
    return BucketProbe(
        conditional_put=has_conditional_put(root, options),
        skew=parsedate_to_datetime(headers["Date"]) - now if "Date" in headers else None,
        encryption=headers.get("x-amz-server-side-encryption", ""),
    )
