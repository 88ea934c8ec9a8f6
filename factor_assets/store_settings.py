"""The sections of the settings that say where things are stored, what a place is, and what every section is.

What does not belong here: all other sections (`settings.py`).
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

BUCKET_URI = "s3://bucket/prefix"

# One letter before the colon is a drive; a folder that is really named so can be written ./ab:/c.
_SCHEME = re.compile(r"\s*([A-Za-z][\w+.-]+:/|s3:)|.*://", flags=re.IGNORECASE | re.DOTALL)
_BUCKET = re.compile(r"s3://[A-Za-z0-9][\w.-]*(/.*)?", flags=re.ASCII | re.DOTALL)


def is_bucket(place: str) -> bool:
    """Whether a place is `s3://bucket` or `s3://bucket/prefix`, with no empty, `.` or `..` part in the prefix."""
    parts = place.removeprefix("s3://").rstrip("/").split("/")
    return _BUCKET.fullmatch(place) is not None and not {"", ".", ".."} & set(parts)


def require_place(place: str) -> str:
    """Return a folder or a bucket as it came.

    Raises
    ------
    ValueError
        If it is neither: `s3:/bucket/x` and `gs://bucket` would else be taken as folders.
    """
    if _SCHEME.match(place) and not is_bucket(place):
        raise ValueError(f"wants a folder or {BUCKET_URI}; got {place!r}")
    _require_user(place)
    return place


def require_local(path: str) -> str:
    """Return the path of a file or folder as it came.

    Raises
    ------
    ValueError
        If it is a URI, which is not read here.
    """
    if _SCHEME.match(path):
        raise ValueError(f"wants a path on this machine, not a URI; got {path!r}")
    _require_user(path)
    return path


def _require_user(path: str) -> None:
    try:
        Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"begins with a user's folder that is not known; got {path!r}; write it in full") from error


Place = Annotated[str, AfterValidator(require_place)]
"""A folder, or a bucket and prefix; "" for the default."""

LocalPath = Annotated[str, AfterValidator(require_local)]
"""A file or folder of this machine; "" for none or the default."""


def absolute_place(place: Place, default: Path) -> str:
    """Return a place without `~`, absolute, without a last slash, so that every process means the same."""
    if "://" in place:
        return place.rstrip("/")
    return str(Path(place).expanduser().absolute() if place else default)


class Section(BaseModel):
    """A part of the settings: frozen, and without settings that nobody declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StoreSettings(Section):
    """Where tables live."""

    kind: Literal["", "lake", "clickhouse"] = Field(
        "", description="lake (Delta Lake tables) or clickhouse; default lake, with profile scale clickhouse."
    )
    path: Place = Field("", description="Folder of the lake, or s3://bucket/prefix; default `lake` in the home folder.")


class DocumentSettings(Section):
    """Where raw documents are kept: answers of services, filings, reports, answers of the language model."""

    path: Place = Field("", description="Folder or s3://bucket/prefix; default `documents` in the home folder.")


class ClickHouseSettings(Section):
    """ClickHouse, for store.kind clickhouse. The password is the variable CLICKHOUSE_PASSWORD."""

    interface: Literal["http", "chdb"] = Field(
        "http", description="http for a server; chdb for the embedded engine, which one process at a time may open."
    )
    host: str = Field("", description="Host of the server; wanted for http.")
    port: int = Field(8123, ge=1, le=65535, description="Port of its HTTP interface.")
    user: str = Field("default", description="User.")
    database: str = Field("factor_assets", description="Database; it is created where it does not exist.")
    secure: bool = Field(False, description="Whether to use TLS.")
    cluster: str = Field("", description="Cluster for ON CLUSTER and replicated tables; empty for one server.")
    path: LocalPath = Field("", description="Folder of the embedded engine; default `clickhouse` in the home folder.")
    timeout: float = Field(300.0, gt=0, le=3600, description="Seconds until a query that gives nothing has failed.")

    @field_validator("host")
    @classmethod
    def _is_host(cls, host: str) -> str:
        if host and not re.fullmatch(r"[\w.-]+", host):
            raise ValueError(
                "wants the host alone, such as db.example.com or 127.0.0.1: the port is clickhouse.port, and"
                f" clickhouse.secure chooses https; got {host!r}"
            )
        return host


class S3Settings(Section):
    """S3 for the lake and the documents. Credentials come from the AWS environment or the machine's role."""

    endpoint: str = Field("", description="URL of an S3-compatible store; default AWS. http:// is allowed.")
    region: str = Field("", description="Region; default that of the AWS environment.")
    encryption: Literal["", "AES256", "aws:kms"] = Field("", description="Server-side encryption of what is written.")
    kms_key: str = Field("", description="Key, for encryption aws:kms only; default the bucket's.")
    retries: int = Field(5, ge=0, le=20, description="Further attempts after 5xx or a failed connection.")
    compute_logs: str = Field(
        "", description="Where what runs print goes, s3://bucket/prefix; default the home folder. Read on first use."
    )

    @field_validator("endpoint")
    @classmethod
    def _is_url(cls, endpoint: str) -> str:
        if endpoint and not endpoint.startswith(("http://", "https://")):
            raise ValueError(f"wants a URL that begins with https:// or http://; got {endpoint!r}")
        return endpoint.rstrip("/")

    @field_validator("compute_logs")
    @classmethod
    def _is_bucket(cls, place: str) -> str:
        if place and not is_bucket(place):
            raise ValueError(f"wants {BUCKET_URI}; got {place!r}")
        return place

    @model_validator(mode="after")
    def _consistent(self) -> "S3Settings":
        if self.kms_key and self.encryption != "aws:kms":
            raise ValueError(
                f"s3.kms_key is {self.kms_key!r}, but s3.encryption is {self.encryption!r}, which uses no key; set"
                " s3.encryption to 'aws:kms', or leave s3.kms_key out"
            )
        return self
