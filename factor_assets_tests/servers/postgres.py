"""A real Postgres on loopback, from the server's own binaries where they are installed."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """How to reach it; the password is wanted."""

    port: int
    user: str = "dagster"
    database: str = "dagster"
    password: str = "s3cret/with:odd@characters"


def free_port() -> int:
    """Return a port of loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def binaries() -> Path | None:
    """Return the folder of initdb and pg_ctl; None where Postgres is not installed."""
    found = [Path(on_path)] if (on_path := shutil.which("initdb")) else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].resolve().parent if found else None


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Start a server with an empty database, and stop it."""
    programs = binaries()
    assert programs is not None
    # The server refuses to run as root, and wants a short path for its socket.
    account: dict[str, Any] = {"user": "postgres", "group": "postgres"} if getpass.getuser() == "root" else {}
    folder, server = Path(tempfile.mkdtemp(prefix="pg")), Postgres(port=free_port())
    try:
        password = folder / "password"
        password.write_text(server.password, encoding="utf-8")
        if account:
            for path in (folder, password):
                shutil.chown(path, **account)

        def run(program: str, *arguments: str, **environment: str) -> None:
            subprocess.run(
                [str(programs / program), *arguments],
                check=True,
                stdout=subprocess.DEVNULL,
                cwd=folder,
                env={**os.environ, **environment},
                timeout=60,
                **account,
            )

        data = str(folder / "data")
        authentication = ("--auth=scram-sha-256", f"--username={server.user}", f"--pwfile={password}")
        run("initdb", "--pgdata", data, *authentication, "--no-sync", "--encoding=UTF8")
        options = f"-p {server.port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        run("pg_ctl", "--pgdata", data, "--wait", "--log", str(folder / "log"), "-o", options, "start")
        try:
            where = ("--host=127.0.0.1", f"--port={server.port}", f"--username={server.user}")
            run("createdb", *where, server.database, PGPASSWORD=server.password)
            yield server
        finally:
            run("pg_ctl", "--pgdata", data, "--wait", "--mode", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
