"""The sections of the settings that say where things are stored, and what every section is.

What does not belong here: all other sections (`settings.py`).
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Section(BaseModel):
    """A part of the settings: frozen, and without settings that nobody declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StoreSettings(Section):
    """Where tables live."""

    kind: Literal["", "lake", "clickhouse"] = Field(
        "", description="lake (Delta Lake tables) or clickhouse; default lake, with profile scale clickhouse."
    )
    path: str = Field("", description="Folder of the lake, or s3://bucket/prefix; default `lake` in the home folder.")


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
    path: str = Field("", description="Folder of the embedded engine; default `clickhouse` in the home folder.")
    timeout: float = Field(300.0, gt=0, le=3600, description="Seconds until a query that gives nothing has failed.")


class S3Settings(Section):
    """S3 for the lake and the documents. Credentials come from the AWS environment or the machine's role."""

    endpoint: str = Field("", description="URL of an S3-compatible store; default AWS. http:// is allowed.")
    region: str = Field("", description="Region; default that of the AWS environment.")
    encryption: Literal["", "AES256", "aws:kms"] = Field("", description="Server-side encryption of what is written.")
    kms_key: str = Field("", description="Key of aws:kms; default the bucket's.")
    retries: int = Field(5, ge=0, le=20, description="Further attempts after 5xx or a failed connection.")
    compute_logs: str = Field(
        "", description="Where what runs print goes, s3://bucket/prefix; default the home folder. Read on first use."
    )

    @field_validator("endpoint")
    @classmethod
    def _is_url(cls, endpoint: str) -> str:
        if endpoint and not endpoint.startswith(("http://", "https://")):
            raise ValueError(f"s3.endpoint wants a URL that begins with https:// or http://; got {endpoint!r}.")
        return endpoint.rstrip("/")

    @field_validator("compute_logs")
    @classmethod
    def _is_bucket(cls, place: str) -> str:
        if place and not (place.startswith("s3://") and place.removeprefix("s3://").strip("/")):
            raise ValueError(f"s3.compute_logs wants s3://bucket/prefix; got {place!r}.")
        return place
