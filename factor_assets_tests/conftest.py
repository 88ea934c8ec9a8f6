"""What every test may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from factor_assets_tests.servers.clickhouse import ClickHouseAt, shared_server
from factor_assets_tests.servers.fault_proxy import FaultProxy, fault_proxy
from factor_assets_tests.servers.s3 import S3Server, s3_server

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real market data beside the checkout; tests that need it skip where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real market data folder ../shared/data is not beside this checkout")
    return SHARED_DATA


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """An S3 server; its credentials are in the environment from now on."""
    with s3_server() as server, pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
            patch.delenv(name, raising=False)
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture
def s3_proxy(s3: S3Server) -> Iterator[FaultProxy]:
    """A proxy before the S3 server, without faults yet."""
    with fault_proxy(s3.url) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def clickhouse() -> ClickHouseAt:
    """A ClickHouse server."""
    return shared_server()


@pytest.fixture
def clickhouse_proxy(clickhouse: ClickHouseAt) -> Iterator[FaultProxy]:
    """A proxy before the ClickHouse server, without faults yet."""
    with fault_proxy(clickhouse.url) as proxy:
        yield proxy
