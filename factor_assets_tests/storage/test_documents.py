"""Documents, in a folder and in a bucket."""

import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from factor_assets.errors import DocumentError, DocumentNotFoundError
from factor_assets.storage.documents import Documents
from factor_assets.storage.opening import s3_options
from factor_assets.store_settings import S3Settings
from factor_assets_tests.servers.fault_proxy import FaultProxy
from factor_assets_tests.servers.s3 import REGION, S3Server

LARGE = random.Random(1).randbytes(30_000_000)


def in_bucket(url: str, bucket: str, **changes: object) -> Documents:
    settings = S3Settings.model_validate({"endpoint": url, "region": REGION, "retries": 3, **changes})
    return Documents(f"s3://{bucket}/documents", options=s3_options(settings))


@pytest.fixture(params=["folder", "s3", "s3 with faults"])
def documents(request: pytest.FixtureRequest, tmp_path: Path) -> Documents:
    if request.param == "folder":
        return Documents(str(tmp_path / "documents"))
    s3: S3Server = request.getfixturevalue("s3")
    if request.param == "s3":
        return in_bucket(s3.url, s3.new_bucket())
    proxy: FaultProxy = request.getfixturevalue("s3_proxy")
    proxy.delay_s = 0.02
    proxy.chaos(seed=2, share=0.1)
    return in_bucket(proxy.url, s3.new_bucket(), retries=10)


@pytest.fixture
def shaky(s3: S3Server, s3_proxy: FaultProxy) -> Documents:
    return in_bucket(s3_proxy.url, s3.new_bucket())


class TestProperties:
    def test_what_is_put_is_got(self, documents: Documents) -> None:
        for key, content in (("a/b.json", b"{}"), ("a/c d.pdf", b""), ("a/e/f.html", b"x" * 100_000)):
            assert documents.put(key, content)
            assert documents.has(key)
            assert documents.get(key) == content
        assert sorted(info.key for info in documents.list("a")) == ["a/b.json", "a/c d.pdf", "a/e/f.html"]
        assert [info.key for info in documents.list("a", after="a/c d.pdf")] == ["a/e/f.html"]
        assert list(documents.list("b")) == []

    def test_a_folder_of_the_user_s_is_written_and_listed_in_one_place(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        Documents("~/docs").put("a/k", b"1")
        assert (tmp_path / "docs" / "a" / "k").read_bytes() == b"1"
        for root in ("~/docs", str(tmp_path / "docs")):
            assert [info.key for info in Documents(root).list()] == ["a/k"]
            assert Documents(root).get("a/k") == b"1"
        monkeypatch.chdir(tmp_path)
        relative = Documents("docs")
        monkeypatch.chdir("/")
        assert relative.has("a/k")

    def test_a_key_is_written_once_unless_it_is_to_be_replaced(self, documents: Documents) -> None:
        assert documents.put("k", b"first")
        assert not documents.put("k", b"other")
        assert documents.get("k") == b"first"
        (before,) = documents.list()
        assert documents.put("k", b"second", replace=True)
        assert documents.get("k") == b"second"
        (after,) = documents.list()
        assert (after.size, after.etag == before.etag) == (6, False)

    def test_what_is_deleted_is_gone(self, documents: Documents) -> None:
        documents.put("k", b"1")
        for _ in range(2):
            documents.delete("k")
            assert not documents.has("k")

    def test_thirty_megabytes(self, documents: Documents) -> None:
        assert documents.put("once", LARGE)
        assert documents.put("large", LARGE, replace=True)
        assert documents.get("once") == documents.get("large") == LARGE

    def test_of_many_writers_of_a_key_one_wins(self, documents: Documents) -> None:
        won: list[int] = []

        def write(number: int) -> None:
            if documents.put("k", str(number).encode()):
                won.append(number)

        documents.put("first", b"")
        threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [str(number).encode() for number in won] == [documents.get("k")]


class TestInABucket:
    def test_a_large_document_goes_in_parts(self, shaky: Documents, s3_proxy: FaultProxy) -> None:
        shaky.put("large", LARGE, replace=True)
        assert sum("partNumber=" in request for request in s3_proxy.seen) == 6

    def test_a_lost_answer_does_not_make_it_another_s(self, shaky: Documents, s3_proxy: FaultProxy) -> None:
        s3_proxy.fail("drop after", only="^PUT")
        assert shaky.put("k", b"ours")
        assert not shaky.put("k", b"theirs")
        assert shaky.get("k") == b"ours"

    def test_a_listing_goes_on_where_it_broke(self, shaky: Documents, s3_proxy: FaultProxy) -> None:
        keys = [f"{n:03d}" for n in range(20)]
        for key in keys:
            shaky.put(key, b"")
        s3_proxy.fail("truncate", "truncate", only="list-type")
        assert sorted(info.key for info in shaky.list()) == keys
        assert s3_proxy.happened == {"truncate": 2}

    def test_it_is_encrypted_as_the_settings_say(self, s3: S3Server) -> None:
        bucket = s3.new_bucket()
        in_bucket(s3.url, bucket, encryption="aws:kms", kms_key="alias/mine").put("k", b"1")
        head = s3.client().head_object(Bucket=bucket, Key="documents/k")
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", "alias/mine")

    def test_attempts_end(self, s3: S3Server, s3_proxy: FaultProxy) -> None:
        asked = []
        for retries in (0, 2):
            before = len(s3_proxy.seen)
            s3_proxy.chaos(seed=0, share=1.0, kinds=["503"])
            with pytest.raises(DocumentError, match=r"Cannot read k in s3://.*: InternalError: out of order"):
                in_bucket(s3_proxy.url, "bucket", retries=retries).get("k")
            asked.append(len(s3_proxy.seen) - before)
        assert asked == [1, 3]


class TestErrors:
    @pytest.mark.parametrize("key", ["", "/k", "k/", "a//k", "a/../k", "..", ".", "a/./k", "a\nk", "a\x00k", "a\x7f"])
    def test_a_key_that_is_none(self, documents: Documents, key: str) -> None:
        documents.put("a/k", b"1")
        acts: list[Callable[[], object]] = [
            lambda: documents.put(key, b""),
            lambda: documents.get(key),
            lambda: documents.has(key),
            lambda: documents.delete(key),
        ]
        if key not in {"", "k/"}:
            acts.append(lambda: list(documents.list(key)))
        for act in acts:
            with pytest.raises(DocumentError, match="key wants parts joined by /, none of them empty") as refused:
                act()
            assert repr(key) in str(refused.value)
        assert documents.get("a/k") == b"1"

    @pytest.mark.parametrize("root", ["s3:/bucket/x", "s3://", "gs://b/x", "s3://b/../x"])
    def test_a_root_that_is_no_place(self, root: str) -> None:
        with pytest.raises(DocumentError, match=f"wants a folder or s3://bucket/prefix; got '{root}'"):
            Documents(root)

    def test_a_document_that_is_not_there(self, documents: Documents) -> None:
        documents.put("other", b"")
        with pytest.raises(DocumentNotFoundError, match="There is no document 'k' in"):
            documents.get("k")

    def test_a_bucket_that_is_not_there(self, s3: S3Server) -> None:
        documents = in_bucket(s3.url, "no-such-bucket")
        for act in (
            lambda: documents.put("k", b""),
            lambda: documents.get("k"),
            lambda: documents.has("k"),
            lambda: list(documents.list()),
        ):
            with pytest.raises(DocumentError, match=r"NoSuchBucket: .* There is no such bucket: create it"):
                act()

    def test_a_folder_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(DocumentError, match="Check that it exists and may be used"):
            Documents(str(tmp_path / "file" / "below")).put("k", b"")
