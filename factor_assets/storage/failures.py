"""What the Delta, Parquet and object-store libraries raise, as a `StoreError` that says what to do.

What does not belong here: which failures are tried again (`attempts.py`).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import polars as pl
from deltalake.exceptions import CommitFailedError, DeltaError

from factor_assets.errors import ConnectionLostError, StoreError

_WRITABLE = "Check that the folder is writable and the disk not full, or set `home` or `store.path` to another folder."
_ADVICE = {
    "opened": "Its log is damaged or not readable: delete the folder and materialise the table again.",
    "read": "Maintenance deletes the files of old versions: read a newer one. If this is the newest, files were lost:"
    " delete the folder and materialise the table again.",
    "written": _WRITABLE,
    "maintained": _WRITABLE,
}

_BUCKET_ADVICE = (
    (("NoSuchBucket",), "There is no such bucket: create it, or correct the bucket in the path."),
    (("RequestTimeTooSkewed",), "This machine's clock differs from the server's by more than 15 minutes: set it."),
    (
        ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "InvalidClientTokenId"),
        "Wrong or expired credentials: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN or the role.",
    ),
    (
        ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraint", "301 Moved"),
        "The bucket is in another region: set s3.region.",
    ),
    (("KMS.", "kms:"), "Check s3.encryption and s3.kms_key, and that the credentials may use the key."),
    (
        ("169.254.169.254", "169.254.170.2", "CredentialsNotLoaded", "credential provider"),
        "There are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role.",
    ),
    (
        ("AccessDenied", "AllAccessDisabled", "401 Unauthorized", "403 Forbidden"),
        "The credentials may not do this: allow s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject.",
    ),
    (
        ("dns error", "failed to lookup", "Connection refused", "tcp connect error", "No route to host"),
        "Nothing answers at the endpoint: check s3.endpoint, or AWS_ENDPOINT_URL, and the network.",
    ),
    (("URL scheme is not allowed", "builder error"), "Name the endpoint in s3.endpoint, or set AWS_ALLOW_HTTP=true."),
    (
        ("NotImplemented", "501 Not Implemented"),
        "The server lacks what was asked: use a store with conditional PUT.",
    ),
)
_LOST = re.compile(
    r"\b5\d\d [A-Z]|HTTP error|error sending request|body error|reading a body|[Cc]onnection|timed? ?out"
)
_FULL = ("No space left on device", "Disk quota exceeded")
_GONE = ("NoSuchKey", "404 Not Found", "not found")
_CODE = re.compile(r"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")
_DECORATION = re.compile("\x1b\\[[0-9;]*m|^[ \t]*(?:\x1b\\[[0-9;]*m)*↳")


@contextmanager
def explained(table: str, location: str, done: Literal["opened", "read", "written", "maintained"]) -> Iterator[None]:
    """Turn what the libraries raise into a StoreError; a lost race passes through as CommitFailedError.

    Parameters
    ----------
    done
        What is being done with the table.

    Raises
    ------
    ConnectionLostError
        If the connection to a bucket broke, or its server failed.
    StoreError
        For everything else; the text never has credentials in it.
    """
    try:
        yield
    except (DeltaError, OSError, pl.exceptions.PolarsError) as error:
        text = str(error)
        what = f"Table {table!r} at {location} cannot be {done}"
        if "://" not in location and any(sign in text for sign in _FULL):
            raise StoreError(
                f"{what}: its disk is full. Free space there, delete old versions by `factor-assets maintain --keep 7`,"
                " or set `home` or `store.path` to another folder."
            ) from error
        if isinstance(error, CommitFailedError):
            raise
        if "://" in location and (advice := bucket_advice(text)):
            raise StoreError(f"{what}: {bucket_reason(text)} {advice}") from error
        reason = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
        if "already exists" in text:
            raise CommitFailedError(reason) from error
        if "://" in location and is_lost(text):
            raise ConnectionLostError(
                f"{what}: {bucket_reason(text)} The store failed or the connection broke, in spite of retries: run"
                " again later, or raise s3.retries."
            ) from error
        raise StoreError(f"{what}: {reason} {_ADVICE[done].replace('folder', _place(location))}") from error


def bucket_advice(text: str) -> str:
    """Return what to do about a failure of a bucket that will not pass by itself; "" for any other."""
    return next((advice for signs, advice in _BUCKET_ADVICE if any(sign in text for sign in signs)), "")


def is_lost(text: str) -> bool:
    """Whether a failure of a bucket may pass by itself: a server in trouble, a connection that broke."""
    return not bucket_advice(text) and not any(sign in text for sign in _GONE) and bool(_LOST.search(text))


def bucket_reason(text: str) -> str:
    """Return the server's own code and message, or the innermost cause.

    Nothing else of its answer: S3 repeats the access key in it.
    """
    if code := _CODE.search(text):
        message = _MESSAGE.search(text)
        return f"{code[1]}: {message[1] if message else ''}".rstrip(": .") + "."
    if status := re.search(r"\b[45]\d\d [A-Z][A-Za-z ]*", text):
        return status[0].strip() + "."
    lines = [_DECORATION.sub("", line).strip() for line in text.partition("Debug source:")[0].splitlines()]
    return next((line for line in reversed(lines) if line), "no reason was given").rstrip(".") + "."


def _place(location: str) -> str:
    return "prefix" if "://" in location else "folder"
