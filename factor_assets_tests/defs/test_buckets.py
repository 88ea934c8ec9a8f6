"""The resource `s3` for assets of one's own."""

from pathlib import Path

import dagster as dg
from dagster_aws.s3 import S3Resource

from factor_assets.defs.buckets import bucket_resources
from factor_assets.defs.graph import build_definitions
from factor_assets_tests.market import small_settings
from factor_assets_tests.servers.s3 import REGION, S3Server


class TestProperties:
    def test_an_asset_reaches_the_bucket_of_the_settings(self, tmp_path: Path, s3: S3Server) -> None:
        bucket = s3.new_bucket()
        s3.client().put_object(Bucket=bucket, Key="mine", Body=b"content")

        @dg.asset
        def mine(s3: S3Resource) -> str:
            return str(s3.get_client().get_object(Bucket=bucket, Key="mine")["Body"].read().decode())

        settings = small_settings(
            tmp_path, documents={"path": f"s3://{bucket}/documents"}, s3={"endpoint": s3.url, "region": REGION}
        )
        done = dg.materialize([mine], resources=dict(bucket_resources(settings)))
        assert done.output_for_node("mine") == "content"
        assert "s3" in build_definitions(settings).resources

    def test_there_is_none_without_a_bucket(self, tmp_path: Path) -> None:
        assert bucket_resources(small_settings(tmp_path)) == {}

    def test_retries_are_passed_on(self, tmp_path: Path) -> None:
        settings = small_settings(tmp_path, documents={"path": "s3://bucket"}, s3={"retries": 3})
        assert bucket_resources(settings)["s3"].max_attempts == 4
