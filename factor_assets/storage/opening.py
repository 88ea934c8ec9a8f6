"""The store that the settings name.

What does not belong here: what a store does (`lake.py`, `clickhouse.py`), whether it can be reached (`doctor.py`).
"""

import os
from collections.abc import Mapping

from factor_assets.settings import Settings
from factor_assets.storage.store import Store
from factor_assets.store_settings import S3Settings


def open_store(settings: Settings) -> Store:
    """Return the store of all tables; nothing is asked of it yet.

    Raises
    ------
    StoreError
        If the place cannot be one.
    """
    if settings.store_kind == "clickhouse":
        from factor_assets.storage.clickhouse import ClickHouseStore

        return ClickHouseStore(
            settings.clickhouse, password=os.environ.get("CLICKHOUSE_PASSWORD", ""), chdb_path=settings.chdb_path
        )
    from factor_assets.storage.lake import LakeStore

    options = s3_options(settings.s3) if "://" in settings.lake_path else None
    return LakeStore(settings.lake_path, storage_options=options)


def s3_options(settings: S3Settings) -> Mapping[str, str]:
    """Return the options of a bucket as the object-store libraries of tables and documents name them.

    Credentials are not among them: the libraries read the AWS environment, or ask the machine for its role.
    """
    found = {
        "aws_endpoint": settings.endpoint,
        "aws_region": settings.region,
        "aws_server_side_encryption": settings.encryption,
        "aws_sse_kms_key_id": settings.kms_key,
        "aws_conditional_put": "etag",
        "max_retries": str(settings.retries),
    }
    if settings.endpoint.startswith("http://"):
        found["aws_allow_http"] = "true"
    return {name: value for name, value in found.items() if value}
