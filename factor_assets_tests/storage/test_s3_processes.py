"""The lake in a bucket under several processes: concurrent writers, and writers killed at random moments.

A hundred kills: `python -m factor_assets_tests.storage.lake_processes 100`.
"""

import pytest

from factor_assets_tests.servers.fault_proxy import fault_proxy
from factor_assets_tests.servers.s3 import S3Server
from factor_assets_tests.storage.lake_processes import check_eight_writers, check_kills


@pytest.fixture
def root(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where writers find the bucket by the AWS environment alone."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    return f"s3://{s3.new_bucket()}/lake"


class TestConcurrentWriters:
    def test_neighbouring_dates_of_one_month_and_the_same_date(self, root: str) -> None:
        check_eight_writers(root)

    @pytest.mark.slow
    def test_the_same_through_connections_that_break(
        self, s3: S3Server, root: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with fault_proxy(s3.url) as proxy:
            monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
            proxy.chaos(seed=3, share=0.03)
            check_eight_writers(root)
            assert len(proxy.happened) >= 5


class TestKilledWriters:
    @pytest.mark.parametrize("kills", [3, pytest.param(30, marks=pytest.mark.slow)])
    def test_a_reader_sees_all_or_nothing_and_the_next_run_repairs(self, root: str, kills: int) -> None:
        assert check_kills(root, kills, longest_s=2.0) >= kills
