"""What only the lake in a bucket does: lost answers, refusals in words, prefixes, encryption."""

from datetime import date
from pathlib import Path

import pytest
from deltalake import DeltaTable

from factor_assets.errors import ConnectionLostError, StoreError
from factor_assets.settings import Settings
from factor_assets.storage.lake import LakeStore
from factor_assets.storage.opening import open_store, s3_options
from factor_assets.storage.query import query
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING
from factor_assets.store_settings import S3Settings
from factor_assets.tables import TABLES
from factor_assets_tests.servers.fault_proxy import FaultKind, FaultProxy
from factor_assets_tests.servers.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server, s3_server
from factor_assets_tests.storage.market_rows import (
    FACTOR,
    ODD_TICKERS,
    PROVENANCE,
    block,
    factor_rows,
    history_rows,
    span,
    trial_rows,
)

DAY = date(2020, 1, 1)
COMMIT = r"^PUT .*_delta_log/\d+\.json"


def lake(url: str, bucket: str, **changes: object) -> LakeStore:
    """Return a lake as the settings of an endpoint give it."""
    settings = S3Settings.model_validate({"endpoint": url, "region": REGION, "retries": 2, **changes})
    return LakeStore(f"s3://{bucket}/some/lake", storage_options=s3_options(settings))


@pytest.fixture
def bucket(s3: S3Server) -> str:
    return s3.new_bucket()


@pytest.fixture
def store(s3: S3Server, bucket: str) -> LakeStore:
    return lake(s3.url, bucket)


@pytest.fixture
def shaky(s3_proxy: FaultProxy, bucket: str) -> LakeStore:
    """The same lake through the proxy."""
    return lake(s3_proxy.url, bucket)


def write(store: LakeStore, *, value: float = 1.0, days: int = 1) -> None:
    store.write(FACTOR, span(DAY, days), factor_rows(block(DAY, days, ["A", "B"], value=value)), provenance=PROVENANCE)


class TestAgainstTheFolder:
    def test_the_same_rows_have_the_same_checksum(self, store: LakeStore, tmp_path: Path) -> None:
        folder = LakeStore(tmp_path)
        for each in (store, folder):
            rows = factor_rows(block(DAY, 200, ["A", *ODD_TICKERS], value=0.1))
            each.write(FACTOR, EVERYTHING, rows, provenance=PROVENANCE)
            each.write("price_history", EVERYTHING, history_rows(["A", *ODD_TICKERS], 5), provenance=PROVENANCE)
            each.append("trials", trial_rows(1, 2), provenance=PROVENANCE)
        assert store.tables() == folder.tables() == [FACTOR, "price_history", "trials"]
        assert [checksum(store.read(t)) for t in store.tables()] == [checksum(folder.read(t)) for t in folder.tables()]
        assert query(store, "SELECT count(*), min(value), max(ticker) FROM factors.momentum__ret_12_1").equals(
            query(folder, "SELECT count(*), min(value), max(ticker) FROM factors.momentum__ret_12_1")
        )

    def test_the_settings_alone_choose_it(self, s3: S3Server, bucket: str, tmp_path: Path) -> None:
        settings = Settings.model_validate(
            {
                "home": tmp_path,
                "store": {"path": f"s3://{bucket}/lake/"},
                "s3": {"endpoint": s3.url, "region": REGION, "encryption": "AES256"},
            }
        )
        chosen = open_store(settings)
        chosen.write("prices", EVERYTHING, TABLES["prices"].schema.empty_table(), provenance=PROVENANCE)
        chosen.append("trials", trial_rows(1), provenance=PROVENANCE)
        assert chosen.location("prices") == f"s3://{bucket}/lake/prices"
        assert not list(tmp_path.iterdir())
        client = s3.client()
        stored = [found["Key"] for found in client.list_objects_v2(Bucket=bucket)["Contents"]]
        assert {key.split("/")[1] for key in stored} == {"prices", "trials"}, "the probe is gone"
        assert {client.head_object(Bucket=bucket, Key=key)["ServerSideEncryption"] for key in stored} == {"AES256"}


class TestLostAnswers:
    @pytest.mark.parametrize("fault", ["drop after", "drop before", "500", "503", "truncate"])
    def test_every_commit_is_made_once(self, shaky: LakeStore, s3_proxy: FaultProxy, fault: FaultKind) -> None:
        def next_commit_fails() -> None:
            s3_proxy.fail(fault, only=COMMIT)

        next_commit_fails()
        write(shaky, days=100)  # creates the table
        next_commit_fails()
        write(shaky, value=2.0, days=3)  # replaces rows
        part = span(date(2022, 1, 1), 1)
        next_commit_fails()  # adds a part that holds nothing yet
        shaky.write(FACTOR, part, factor_rows(block(part.start, 1, ["A"], value=3)), provenance=PROVENANCE)
        for number in (1, 2):
            next_commit_fails()
            version = shaky.append("trials", trial_rows(number), provenance=PROVENANCE)
            assert version.id == str(number - 1)
        assert s3_proxy.happened == {fault: 5}
        assert shaky.read("trials")["trial_id"].to_pylist() == ["1", "2"]
        assert [version.id for version in shaky.versions(FACTOR)] == ["2", "1", "0"]
        assert shaky.read(FACTOR).num_rows == 201
        assert shaky.read(FACTOR, span(DAY, 3))["value"].to_pylist() == [2.0] * 6

    def test_an_empty_table_that_is_replaced(self, shaky: LakeStore, s3_proxy: FaultProxy) -> None:
        shaky.write(FACTOR, EVERYTHING, factor_rows({}), provenance=PROVENANCE)
        s3_proxy.fail("drop after", only=COMMIT)
        shaky.write(FACTOR, EVERYTHING, factor_rows(block(DAY, 2, ["A"], value=1)), provenance=PROVENANCE)
        assert shaky.read(FACTOR).num_rows == 2
        assert len(shaky.versions(FACTOR)) == 2

    def test_reads_through_broken_connections(self, shaky: LakeStore, s3_proxy: FaultProxy) -> None:
        write(shaky, days=300)
        whole = checksum(shaky.read(FACTOR))
        for fault in ("truncate", "drop after", "503"):
            for position in range(0, 12, 2):
                s3_proxy.fail(*[None] * position, fault)
                assert checksum(LakeStore(shaky.root, storage_options=shaky._options).read(FACTOR)) == whole

    def test_a_server_that_stays_down(self, shaky: LakeStore, s3_proxy: FaultProxy) -> None:
        write(shaky)
        s3_proxy.chaos(seed=0, share=1.0, kinds=["503"])
        with pytest.raises(
            ConnectionLostError, match=r"cannot be opened: InternalError: out of order\. The store failed"
        ):
            shaky.read(FACTOR)
        with pytest.raises(ConnectionLostError, match="in spite of retries: run again later"):
            write(shaky, value=2.0)
        s3_proxy.chaos(seed=0, share=0.0)
        assert shaky.read(FACTOR)["value"].to_pylist() == [1.0, 1.0]

    def test_it_is_not_known_whether_rows_were_added(self, shaky: LakeStore, s3_proxy: FaultProxy) -> None:
        shaky.append("trials", trial_rows(1), provenance=PROVENANCE)
        s3_proxy.chaos(seed=0, share=1.0, kinds=["503"], only=r"^GET .*0001\.json")
        with pytest.raises(StoreError, match=r"Whether rows were written is not known; look at the table's versions"):
            shaky.append("trials", trial_rows(2), provenance=PROVENANCE)
        s3_proxy.chaos(seed=0, share=0.0)
        assert shaky.read("trials")["trial_id"].to_pylist() == ["1", "2"]


class TestProperties:
    def test_only_declared_tables_with_a_commit_are_tables(self, store: LakeStore, s3: S3Server, bucket: str) -> None:
        assert store.tables() == []
        write(store)
        client = s3.client()
        commit = "_delta_log/00000000000000000000.json"
        stray = (f"others/{commit}", f"factors/x/y.z/{commit}", f"libraries/a b/{commit}")
        for key in ("factors/f/killed/_part=1/part.parquet", *stray, "readme"):
            client.put_object(Bucket=bucket, Key=f"some/lake/{key}", Body=b"")
        assert store.tables() == [FACTOR]

    def test_conditional_put_is_tried_once(self, shaky: LakeStore, s3_proxy: FaultProxy) -> None:
        write(shaky)
        n = len(probes(s3_proxy))
        assert n == 2
        write(shaky, value=2.0)
        LakeStore(shaky.root, storage_options=shaky._options).append("trials", trial_rows(1), provenance=PROVENANCE)
        assert len(probes(s3_proxy)) == n

    def test_reading_needs_no_permission_to_write(
        self, store: LakeStore, shaky: LakeStore, s3_proxy: FaultProxy
    ) -> None:
        write(store)
        s3_proxy.pretend(answers={"^(PUT|POST|DELETE) ": (403, DENIED)})
        assert shaky.read(FACTOR).num_rows == 2
        assert shaky.tables() == [FACTOR]

    def test_the_number_of_retries_is_a_setting(self, s3_proxy: FaultProxy, bucket: str) -> None:
        asked = []
        for retries in (0, 3):
            before = len(s3_proxy.seen)
            s3_proxy.chaos(seed=0, share=1.0, kinds=["503"])
            with pytest.raises(ConnectionLostError):
                lake(s3_proxy.url, bucket, retries=retries).read(FACTOR)
            asked.append(len(s3_proxy.seen) - before)
        assert asked == [1, 16]


DENIED = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


def probes(proxy: FaultProxy) -> list[str]:
    return [request for request in proxy.seen if request.startswith("PUT ") and "_probes" in request]


def refusals(store: LakeStore) -> list[str]:
    """Messages of a refused write, read and list."""
    said = []
    for act in (lambda: write(store), lambda: store.read(FACTOR), store.tables):
        with pytest.raises(StoreError) as refused:
            act()
        said.append(str(refused.value))
    for message in said:
        assert SECRET_KEY not in message
        assert ACCESS_KEY not in message
    return said


class TestErrors:
    def test_a_bucket_that_is_not_there(self, s3: S3Server) -> None:
        for message in refusals(lake(s3.url, "no-such-bucket")):
            assert "NoSuchBucket: The specified bucket does not exist. There is no such bucket: create it" in message

    def test_a_wrong_key(self, monkeypatch: pytest.MonkeyPatch, s3: S3Server) -> None:
        with s3_server(INITIAL_NO_AUTH_ACTION_COUNT="1") as strict:
            bucket = strict.new_bucket()
            for message in refusals(lake(strict.url, bucket)):
                assert "InvalidAccessKeyId" in message
                assert "Wrong or expired credentials: check AWS_ACCESS_KEY_ID" in message

    @pytest.mark.parametrize(
        ("code", "advice"),
        [
            ("AccessDenied", "may not do this: allow s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject"),
            ("RequestTimeTooSkewed", "clock differs from the server's by more than 15 minutes"),
            ("SignatureDoesNotMatch", "Wrong or expired credentials"),
            ("ExpiredToken", "AWS_SESSION_TOKEN"),
            ("AuthorizationHeaderMalformed", "another region: set s3.region"),
            ("KMS.NotFoundException", "Check s3.encryption and s3.kms_key"),
        ],
    )
    def test_what_s3_refuses(self, shaky: LakeStore, s3_proxy: FaultProxy, code: str, advice: str) -> None:
        leak = f"<AWSAccessKeyId>{ACCESS_KEY}</AWSAccessKeyId><StringToSign>{SECRET_KEY}</StringToSign>"
        body = f"<Error><Code>{code}</Code><Message>Refused by the test.</Message>{leak}</Error>"
        s3_proxy.pretend(answers={"": (403, body)})
        for message in refusals(shaky):
            assert f"{code}: Refused by the test." in message
            assert advice in message

    def test_an_endpoint_where_nobody_answers(self, s3: S3Server) -> None:
        for message in refusals(lake("http://127.0.0.1:9", "bucket", retries=0)):
            assert "Nothing answers at the endpoint: check s3.endpoint" in message
        for message in refusals(lake("http://nowhere.invalid", "bucket", retries=0)):
            assert "Nothing answers at the endpoint: check s3.endpoint" in message

    def test_a_store_without_conditional_put(self, shaky: LakeStore, s3_proxy: FaultProxy) -> None:
        s3_proxy.pretend(without=["if-none-match"])
        with pytest.raises(StoreError, match=r"no conditional PUT: it let an object be created twice.*Use AWS S3 or"):
            write(shaky)
        with pytest.raises(StoreError, match="no conditional PUT"):
            shaky.append("trials", trial_rows(1), provenance=PROVENANCE)
        assert shaky.tables() == []
        s3_proxy.pretend()
        write(shaky)
        assert DeltaTable(shaky.location(FACTOR), storage_options=shaky._options).version() == 0

    @pytest.mark.parametrize(
        "root",
        [
            *("s3://", "s3:///a", "gs://b/c", "s3://b/a b", "s3://b/a//b", "s3://b/50%", "s3://b/é"),
            *("s3://b/a/../x", "s3://b/./x", "s3://../x", "s3://b/.."),
        ],
    )
    def test_roots_that_are_no_bucket(self, root: str) -> None:
        with pytest.raises(StoreError, match=r"A lake in a bucket is s3://bucket/prefix.*Set `store\.path`"):
            LakeStore(root)
