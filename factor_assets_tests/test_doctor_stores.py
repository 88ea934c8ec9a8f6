"""`doctor` on buckets: it tries what we need, and says what to do."""

from pathlib import Path
from typing import Any

import pytest

from factor_assets.doctor import examine
from factor_assets.doctor_stores import store_looks
from factor_assets.examined import Examined
from factor_assets.settings import Settings
from factor_assets_tests.market import small_settings
from factor_assets_tests.servers.fault_proxy import FaultProxy
from factor_assets_tests.servers.s3 import REGION, SECRET_KEY, S3Server

DENIED = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


def settings_of(home: Path, url: str, bucket: str, **s3: Any) -> Settings:
    return small_settings(
        home,
        store={"path": f"s3://{bucket}/lake"},
        documents={"path": f"s3://{bucket}/documents"},
        s3={"endpoint": url, "region": REGION, "retries": 0, **s3},
    )


def look(settings: Settings) -> dict[str, Examined]:
    return {found.check: found for found in examine(settings) if found.check.startswith(("lake", "documents", "store"))}


@pytest.fixture
def bucket(s3: S3Server) -> str:
    return s3.new_bucket()


class TestProperties:
    def test_a_bucket_that_is_well(self, tmp_path: Path, s3: S3Server, bucket: str) -> None:
        found = look(settings_of(tmp_path, s3.url, bucket, encryption="AES256"))
        parts = ("bucket", "conditional PUT", "clock", "encryption")
        assert set(found) == {"store", *(f"{place} {part}" for place in ("lake", "documents") for part in parts)}
        assert all(finding.ok for finding in found.values())
        assert found["lake encryption"].found == "the server says AES256; s3.encryption is AES256"
        assert "Contents" not in s3.client().list_objects_v2(Bucket=bucket), "it leaves nothing behind"

    def test_folders_are_not_looked_at_as_buckets(self, tmp_path: Path) -> None:
        assert store_looks(small_settings(tmp_path)) == {}

    def test_the_places_of_reports_and_logs_are_looked_at(self, tmp_path: Path) -> None:
        settings = small_settings(
            tmp_path, reports={"path": "s3://drop/reports"}, s3={"compute_logs": "s3://logs/runs"}
        )
        assert set(store_looks(settings)) == {"reports bucket", "compute logs bucket"}


class TestErrors:
    def test_no_credentials_in_the_environment(
        self, tmp_path: Path, s3_proxy: FaultProxy, bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        s3_proxy.pretend(answers={"": (403, DENIED)})
        settings = settings_of(tmp_path, s3_proxy.url, bucket)
        assert look(settings)["lake bucket"].advice == ""
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        assert "Missing AccessKeyId" in look(settings)["store"].found, "half of a key"
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        # where the machine's role is asked for
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", s3_proxy.url)
        found = look(settings)["lake bucket"]
        assert not found.ok
        assert "No credentials were found in the environment." in found.found
        assert found.advice.startswith("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, unless")
        monkeypatch.setenv("AWS_PROFILE", "research")
        assert "AWS_PROFILE is set, but not read" in look(settings)["documents bucket"].advice

    def test_a_clock_that_is_an_hour_off(self, tmp_path: Path, s3_proxy: FaultProxy, bucket: str) -> None:
        for ahead_s, ok, side in ((-3600, False, "behind"), (3600, False, "ahead of"), (240, True, "ahead of")):
            s3_proxy.pretend(ahead_s=ahead_s)
            found = look(settings_of(tmp_path, s3_proxy.url, bucket))["lake clock"]
            assert found.ok is ok
            assert f"s {side} this machine's" in found.found
            assert ok or "set this machine's clock, or let NTP do it" in found.advice

    def test_no_conditional_put(self, tmp_path: Path, s3_proxy: FaultProxy, bucket: str) -> None:
        s3_proxy.pretend(without=["if-none-match"])
        found = look(settings_of(tmp_path, s3_proxy.url, bucket))["lake conditional PUT"]
        assert not found.ok
        assert "allows to create an object twice" in found.found
        assert "two writers would overwrite each other" in found.advice

    def test_a_store_that_does_not_encrypt(self, tmp_path: Path, s3_proxy: FaultProxy, bucket: str) -> None:
        s3_proxy.pretend(without=["x-amz-server-side-encryption"])
        found = look(settings_of(tmp_path, s3_proxy.url, bucket, encryption="aws:kms"))["documents encryption"]
        assert not found.ok
        assert "s3.encryption is aws:kms" in found.found
        assert "change s3.encryption" in found.advice

    @pytest.mark.parametrize(
        ("pattern", "doing"),
        [
            ("^PUT ", "written"),
            (r"^GET .*list-type", "listed"),
            (r"^GET .*_probes/", "read"),
            (r"^(POST|DELETE) ", "read, or the object deleted"),
        ],
    )
    def test_a_permission_that_is_missing(
        self, tmp_path: Path, s3_proxy: FaultProxy, bucket: str, pattern: str, doing: str
    ) -> None:
        s3_proxy.pretend(answers={pattern: (403, DENIED)})
        found = look(settings_of(tmp_path, s3_proxy.url, bucket))["lake bucket"]
        assert not found.ok
        assert f"s3://{bucket}/lake cannot be {doing}" in found.found
        assert "may not do this: allow s3:ListBucket" in found.found

    def test_a_bucket_and_an_endpoint_that_are_not_there(self, tmp_path: Path, s3: S3Server) -> None:
        found = look(settings_of(tmp_path, s3.url, "no-such-bucket"))
        assert "There is no such bucket: create it" in found["lake bucket"].found
        assert "There is no such bucket: create it" in found["store"].found
        found = look(settings_of(tmp_path, "http://127.0.0.1:9", "bucket"))
        assert "Nothing answers at the endpoint: check s3.endpoint" in found["documents bucket"].found
        assert not any(SECRET_KEY in finding.found for finding in found.values())
