"""An S3 server on loopback, in a process of its own: moto, with conditional PUT.

`python -m factor_assets_tests.servers.s3` serves on a free port, which it prints, until its standard input ends.

moto looks whether a key is there and then stores it, two steps; S3 takes one. So one request is answered at a time.
"""

import io
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

ACCESS_KEY, SECRET_KEY = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
REGION = "us-east-1"
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class S3Server:
    """Where the server is, and how to reach it."""

    url: str
    _number: Iterator[int]

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables of a process that uses the server."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def options(self) -> Mapping[str, str]:
        """Options of a bucket, as object_store names them; the rest is in the environment."""
        return options_of(self.url)

    def client(self) -> Any:
        """Return a boto3 client, to look at what was stored."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )

    def new_bucket(self) -> str:
        """Make a bucket with a new name and return the name."""
        name = f"bucket-{next(self._number)}-of-tests"
        self.client().create_bucket(Bucket=name)
        return name


def options_of(url: str) -> Mapping[str, str]:
    """Return the options of a bucket at an endpoint on loopback."""
    return {"aws_endpoint": url, "aws_region": REGION, "aws_allow_http": "true"}


@contextmanager
def s3_server(**environment: str) -> Iterator[S3Server]:
    """Serve S3 in a process of its own.

    Parameters
    ----------
    environment
        Settings of moto, such as `INITIAL_NO_AUTH_ACTION_COUNT="0"` to check signatures.
    """
    import os

    server = subprocess.Popen(
        [sys.executable, "-m", "factor_assets_tests.servers.s3"],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    try:
        yield S3Server(url=f"http://127.0.0.1:{int(server.stdout.readline())}", _number=count())
    finally:
        server.communicate()


def _one_at_a_time(answer: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    lock = threading.Lock()

    def answer_alone(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "chunked" not in environ.get("HTTP_TRANSFER_ENCODING", ""):
            # Read outside the lock: a slow client must not stop the others.
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        with lock:
            return [b"".join(answer(environ, start_response))]

    return answer_alone


def main() -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log(self, *arguments: Any) -> None:
            pass

    application = _one_at_a_time(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
