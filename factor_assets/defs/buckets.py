"""The Dagster resource `s3`: a boto3 client with the settings' endpoint, region and retries, for assets of one's own.

What does not belong here: how our own assets reach a bucket (`storage/`), where what runs print goes (`instance.py`).
"""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from factor_assets.settings import Settings


def bucket_resources(settings: Settings) -> Mapping[str, Any]:
    """Return the resource under its name; none where no setting names a bucket, or dagster-aws is not installed.

    Credentials are not among the settings: boto3 reads the AWS environment, or asks the machine for its role.
    """
    places = (settings.lake_path, settings.documents_path, settings.reports.path, settings.s3.compute_logs)
    if not any("://" in place for place in places) or find_spec("dagster_aws") is None:
        return {}
    from dagster_aws.s3 import S3Resource

    s3 = settings.s3
    return {
        "s3": S3Resource(endpoint_url=s3.endpoint or None, region_name=s3.region or None, max_attempts=s3.retries + 1)
    }
