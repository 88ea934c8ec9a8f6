"""Create the buckets that the settings name, where they are not there yet; the store of docker-compose.yml has none.

What does not belong here: whether the store can do what is asked of it, which is for `factor-assets doctor`.
"""

import sys
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from factor_assets.errors import FactorAssetsError
from factor_assets.settings import Settings
from factor_assets.settings_file import load_settings

_AWS_DEFAULT_REGION = "us-east-1"  # the one region that a request to create a bucket must not name


def buckets(settings: Settings) -> list[str]:
    """Return the names of the buckets of the documents and the lake, each once."""
    places = (settings.documents_path, settings.lake_path, settings.reports.path)
    return sorted({urlsplit(place).netloc for place in places if place.startswith("s3://")})


def create_buckets(settings: Settings) -> list[str]:
    """Create what is missing, and return the names of what was created."""
    region = settings.s3.region or None
    client = boto3.client("s3", endpoint_url=settings.s3.endpoint or None, region_name=region)
    created = []
    for name in buckets(settings):
        try:
            client.head_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"404", "NoSuchBucket"}:
                raise
            elsewhere = region not in {None, _AWS_DEFAULT_REGION}
            options = {"CreateBucketConfiguration": {"LocationConstraint": region}} if elsewhere else {}
            client.create_bucket(Bucket=name, **options)
            created.append(name)
    return created


def main() -> int:
    """Create the buckets and say so; status 1 and the reason where they cannot be."""
    try:
        settings = load_settings()
        created = create_buckets(settings)
    except (BotoCoreError, ClientError, FactorAssetsError) as error:
        sys.stderr.write(f"The bucket cannot be made: {error}. Check s3.endpoint, s3.region and the AWS credentials.\n")
        return 1
    for name in buckets(settings):
        sys.stdout.write(f"bucket {name}: {'created' if name in created else 'there'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
