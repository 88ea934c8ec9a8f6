"""The Dagster instance that the settings ask for."""

import sys
from pathlib import Path

import pytest
import yaml
from dagster_aws.s3 import S3ComputeLogManager

from factor_assets.defs import instance as instances
from factor_assets.defs.instance import examine_compute_logs, open_instance
from factor_assets.errors import SettingsError
from factor_assets.settings import Settings
from factor_assets.settings_file import load_settings
from factor_assets_tests.market import small_settings
from factor_assets_tests.servers.s3 import REGION, S3Server


class TestAgainstS3:
    def test_what_runs_print_is_in_the_bucket(
        self, tmp_path: Path, s3: S3Server, capfd: pytest.CaptureFixture[str]
    ) -> None:
        bucket = s3.new_bucket()
        settings = small_settings(
            tmp_path,
            s3={
                "endpoint": s3.url,
                "region": REGION,
                "encryption": "AES256",
                "compute_logs": f"s3://{bucket}/runs/printed",
            },
        )
        with open_instance(settings) as instance:
            manager = instance.compute_log_manager
            assert isinstance(manager, S3ComputeLogManager)
            with capfd.disabled(), manager.capture_logs(["a_run", "compute_logs", "a_step"]):
                sys.stdout.write("printed by a run")
                sys.stdout.flush()
        stored = [found["Key"] for found in s3.client().list_objects_v2(Bucket=bucket)["Contents"]]
        assert "runs/printed/storage/a_run/compute_logs/a_step.out" in stored
        found = s3.client().get_object(Bucket=bucket, Key="runs/printed/storage/a_run/compute_logs/a_step.out")
        assert found["Body"].read() == b"printed by a run"
        assert found["ServerSideEncryption"] == "AES256"


class TestProperties:
    def test_by_default_nothing_is_said_of_logs(self, tmp_path: Path) -> None:
        settings = small_settings(tmp_path)
        with open_instance(settings):
            assert "compute_logs" not in yaml.safe_load((settings.dagster_home / "dagster.yaml").read_text())

    def test_only_what_is_set_is_said(self, tmp_path: Path) -> None:
        settings = small_settings(tmp_path, s3={"compute_logs": "s3://bucket"})
        with open_instance(settings):
            said = yaml.safe_load((settings.dagster_home / "dagster.yaml").read_text())["compute_logs"]["config"]
        assert said == {"bucket": "bucket", "prefix": "dagster", "upload_interval": 30, "skip_empty_files": True}

    @pytest.mark.parametrize("place", ["s3://bucket", "s3://bucket/dagster/", "s3://bucket/runs/printed"])
    def test_doctor_finds_that_they_go_where_they_should(self, tmp_path: Path, place: str) -> None:
        (found,) = examine_compute_logs(small_settings(tmp_path, s3={"compute_logs": place}))
        assert found.ok
        assert list(examine_compute_logs(small_settings(tmp_path / "other"))) == []

    def test_a_file_that_names_the_bucket_by_a_variable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BUCKET", "mine")
        settings = small_settings(tmp_path)
        write_logs(settings, {"bucket": {"env": "BUCKET"}, "prefix": "printed"})
        (found,) = examine_compute_logs(settings)
        assert found.ok
        assert found.found.endswith("sends what runs print to s3://mine/printed")


def write_logs(settings: Settings, config: dict[str, object]) -> None:
    """Write an instance's file that sends what runs print to a bucket, as a server's may."""
    logs = {"module": "dagster_aws.s3", "class": "S3ComputeLogManager", "config": config}
    settings.dagster_home.mkdir(parents=True)
    (settings.dagster_home / "dagster.yaml").write_text(yaml.safe_dump({"compute_logs": logs}))


class TestErrors:
    def test_doctor_finds_a_file_that_rules_over_the_setting(self, tmp_path: Path) -> None:
        with open_instance(small_settings(tmp_path)):
            pass
        (found,) = examine_compute_logs(small_settings(tmp_path, s3={"compute_logs": "s3://bucket/runs"}))
        assert not found.ok
        assert found.found.endswith("print to the home folder, but s3.compute_logs is s3://bucket/runs")
        other = small_settings(tmp_path / "other", s3={"compute_logs": "s3://bucket/runs"})
        write_logs(other, {"bucket": "another", "prefix": "printed"})
        (found,) = examine_compute_logs(other)
        assert "to s3://another/printed, but s3.compute_logs is s3://bucket/runs" in found.found
        assert "unset s3.compute_logs" in found.advice

    @pytest.mark.parametrize("place", ["bucket/prefix", "s3://", "/tmp"])
    def test_a_place_that_is_no_bucket(self, place: str) -> None:
        with pytest.raises(SettingsError, match=r"s3\.compute_logs.* wants s3://bucket/prefix; got"):
            load_settings(environment={"FACTOR_ASSETS_S3__COMPUTE_LOGS": place})

    def test_an_endpoint_without_a_scheme(self) -> None:
        with pytest.raises(SettingsError, match=r"s3\.endpoint.* wants a URL that begins with https:// or http://"):
            load_settings(environment={"FACTOR_ASSETS_S3__ENDPOINT": "minio:9000"})

    def test_a_missing_library(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(instances, "find_spec", lambda name: None)
        with pytest.raises(SettingsError, match=r"s3\.compute_logs wants dagster-aws: install factor-assets\[aws\]"):
            open_instance(small_settings(tmp_path, s3={"compute_logs": "s3://bucket"}))
