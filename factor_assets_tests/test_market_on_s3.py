"""The whole graph with its tables and documents in a bucket gives what it gives in folders."""

from pathlib import Path

import pytest

from factor_assets_tests.market import Graph, small_settings
from factor_assets_tests.servers.s3 import REGION, S3Server


class TestAgainstTheFolder:
    @pytest.mark.slow
    def test_every_table_has_the_same_checksum_and_a_second_run_changes_nothing(
        self, tmp_path: Path, s3: S3Server
    ) -> None:
        folder = Graph(small_settings(tmp_path / "folder"))
        bucket = Graph(
            small_settings(
                tmp_path / "bucket",
                store={"path": f"s3://{s3.new_bucket()}/lake"},
                documents={"path": f"s3://{s3.new_bucket()}/documents"},
                s3={"endpoint": s3.url, "region": REGION},
            )
        )
        for graph in (folder, bucket):
            graph.run()
        found = bucket.checksums()
        assert found == folder.checksums()
        assert len(found) > 10
        versions = {table: bucket.workspace.store.versions(table) for table in found}
        bucket.run()
        assert bucket.checksums() == found
        assert {table: bucket.workspace.store.versions(table) for table in found} == versions
        assert not (tmp_path / "bucket" / "lake").exists()
