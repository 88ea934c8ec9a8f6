"""A genuine ClickHouse server on loopback, from the embedded engine's wheel, in a process and a folder of its own.

`CLICKHOUSE_TEST_URL` (such as http://user:password@host:8123) names a server to use instead; it must let its user
create databases. The process itself is `clickhouse_process.py`.
"""

import atexit
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen
from uuid import uuid4

import pytest

from factor_assets.storage.clickhouse import ClickHouseStore
from factor_assets.store_settings import ClickHouseSettings
from factor_assets_tests.servers.fault_proxy import FaultProxy

WRITER, WRITER_PASSWORD = "writer", 'it\'s a "secret" \\ &<'
READER, READER_PASSWORD = "reader", "look, do not touch"
BRIEF, BRIEF_PASSWORD = "brief", "a few rows"
URL_VARIABLE = "CLICKHOUSE_TEST_URL"

CONFIG = """<clickhouse>
  <http_port>{http}</http_port><tcp_port>{tcp}</tcp_port><listen_host>127.0.0.1</listen_host>
  <users_config>users.xml</users_config>
  <default_profile>default</default_profile><default_database>default</default_database>
  <background_pool_size>16</background_pool_size><mark_cache_size>268435456</mark_cache_size>
</clickhouse>
"""
USERS = """<clickhouse>
  <profiles><default/><looking><readonly>2</readonly></looking>
    <brief><limit>5</limit><max_result_rows>9</max_result_rows><result_overflow_mode>break</result_overflow_mode></brief>
  </profiles>
  <quotas><default/></quotas>
  <users>
    <default><password/>{loopback}<profile>default</profile><quota>default</quota></default>
    <writer><password>it's a "secret" \\ &amp;&lt;</password>{loopback}<profile>default</profile>
      <quota>default</quota></writer>
    <brief><password>a few rows</password>{loopback}<profile>brief</profile><quota>default</quota></brief>
    <reader><password>look, do not touch</password>{loopback}<profile>looking</profile><quota>default</quota></reader>
  </users>
</clickhouse>
"""
LOOPBACK = "<networks><ip>127.0.0.1</ip><ip>::1</ip></networks>"


@dataclass
class ClickHouseAt:
    """Where a server is, and who may write to it."""

    host: str
    port: int
    user: str
    password: str

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.host}:{self.port}"

    def settings(self, database: str, **changes: object) -> ClickHouseSettings:
        """Return the settings of a store in a database of this server."""
        given = {"host": self.host, "port": self.port, "user": self.user, "database": database, "timeout": 60.0}
        return ClickHouseSettings(**(given | changes))


class ClickHouseServer(ClickHouseAt):
    """A server that can be started, stopped, killed and started again on its data."""

    def __init__(self, folder: Path) -> None:
        super().__init__("127.0.0.1", _free_port(), WRITER, WRITER_PASSWORD)
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.xml").write_text(CONFIG.format(http=self.port, tcp=_free_port()))
        (folder / "users.xml").write_text(USERS.format(loopback=LOOPBACK))

    def start(self) -> None:
        """Start, and return when it answers."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("clickhouse_process.py")), str(self.folder)],
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with suppress(OSError), urlopen(f"http://{self.host}:{self.port}/ping", timeout=5) as answer:
                if answer.read() == b"Ok.\n":
                    return
            time.sleep(0.02)
        raise RuntimeError(f"the server did not start: {(self.folder / 'server.log').read_text()[-2000:]}")

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop or kill it, and return when it is gone."""
        if self.process is not None:
            self.process.send_signal(how)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end(signal.SIGKILL)


@cache
def shared_server() -> ClickHouseAt:
    """Return the server that the environment names, or one of our own that ends with this process."""
    if url := os.environ.get(URL_VARIABLE):
        parts = urlsplit(url)
        return ClickHouseAt(
            parts.hostname or "127.0.0.1",
            parts.port or 8123,
            parts.username or "default",
            unquote(parts.password or ""),
        )
    pytest.importorskip("chdb", reason="chdb is not installed, whose engine serves as the ClickHouse server")
    folder = TemporaryDirectory(ignore_cleanup_errors=True)
    server = ClickHouseServer(Path(folder.name))
    server.start()
    atexit.register(folder.cleanup)
    atexit.register(server.end, signal.SIGKILL)
    return server


@cache
def chdb_folder() -> Path:
    """Return the one folder that this process may open with the embedded engine."""
    pytest.importorskip("chdb", reason="chdb is not installed")
    folder = TemporaryDirectory(ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    return Path(folder.name)


def new_store(interface: str = "http", *, proxy: FaultProxy | None = None, database: str = "") -> ClickHouseStore:
    """Return a store over HTTP or in the embedded engine, in a database of its own unless one is named."""
    at = shared_server() if interface == "http" else ClickHouseAt("", 8123, "default", "")
    changes = {"port": urlsplit(proxy.url).port} if proxy else {}
    settings = at.settings(database or f"test_{uuid4().hex}", interface=interface, **changes)
    return ClickHouseStore(
        settings, password=at.password, chdb_path=chdb_folder() if interface == "chdb" else Path("unused")
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
