"""What `doctor` looks at of the places that data are kept in: buckets, and servers.

A new kind of place joins by a line in `store_looks`. What does not belong here: the rest of `doctor`.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial

from factor_assets.errors import StoreError
from factor_assets.examined import Examined
from factor_assets.settings import Settings
from factor_assets.storage.bucket_probe import probe_bucket
from factor_assets.storage.opening import s3_options

Look = Callable[[], Iterator[Examined]]

_LARGEST_SKEW = timedelta(minutes=5)
"""S3 refuses requests from 15 minutes on."""

# What the object-store libraries find credentials by, other than the machine's role; profiles are not among it.
_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


def store_looks(settings: Settings) -> Mapping[str, Look]:
    """Return name -> look, of the places that the settings name."""
    looks: dict[str, Look] = {}
    for name, place in _buckets(settings).items():
        looks[f"{name} bucket"] = partial(_with_credentials, name, place, settings)
    return looks


def _with_credentials(name: str, place: str, settings: Settings) -> Iterator[Examined]:
    """Look, and where that fails without credentials in the environment, say so: the server only says 403."""
    try:
        yield from _bucket(name, place, settings)
    except StoreError as error:
        if any(os.environ.get(variable) for variable in _CREDENTIALS):
            raise
        advice = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, unless the machine has a role"
        if os.environ.get("AWS_PROFILE"):
            advice += "; AWS_PROFILE is set, but not read: `aws configure export-credentials --format env` has its keys"
        yield Examined(
            check=f"{name} bucket",
            ok=False,
            found=f"{error} No credentials were found in the environment.",
            advice=advice,
        )


def _buckets(settings: Settings) -> Mapping[str, str]:
    places = {
        "lake": settings.lake_path if settings.store_kind == "lake" else "",
        "documents": settings.documents_path,
        "reports": settings.reports.path,
        "compute logs": settings.s3.compute_logs,
    }
    return {name: place for name, place in places.items() if "://" in place}


def _bucket(name: str, place: str, settings: Settings) -> Iterator[Examined]:
    found = probe_bucket(place, s3_options(settings.s3))
    yield Examined(check=f"{name} bucket", ok=True, found=f"{place} can be listed, read, written and deleted from")
    yield Examined(
        check=f"{name} conditional PUT",
        ok=found.conditional_put,
        found=f"{place} {'refuses' if found.conditional_put else 'allows'} to create an object twice",
        advice=""
        if found.conditional_put
        else "two writers would overwrite each other: use AWS S3 or another store that honours If-None-Match",
    )
    if found.skew is not None:
        seconds = round(found.skew.total_seconds())
        ok = abs(found.skew) <= _LARGEST_SKEW
        yield Examined(
            check=f"{name} clock",
            ok=ok,
            found=f"the server's clock is {abs(seconds)} s {'behind' if seconds < 0 else 'ahead of'} this machine's",
            advice="" if ok else "set this machine's clock, or let NTP do it: S3 refuses requests from 15 minutes on",
        )
    wanted = settings.s3.encryption
    if wanted:
        ok = found.encryption == wanted
        yield Examined(
            check=f"{name} encryption",
            ok=ok,
            found=f"the server says {found.encryption or 'nothing'}; s3.encryption is {wanted}",
            advice="" if ok else "the store does not encrypt as asked: change s3.encryption, or the store",
        )
