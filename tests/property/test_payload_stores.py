"""A store gives back what it was given, or says that it cannot: a directory and a bucket alike."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from attrs import frozen
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from floto.core.errors import StoreUnavailable
from floto.core.payloads import reference
from floto.payloads import DirectoryStore, PayloadError, S3Store, Store
from floto.testing.strategies import json_values
from tests.property.setup import SETTINGS


@frozen
class Kept:
    """A store, and its content from behind its back."""

    store: Store
    read: Callable[[str], bytes]
    write: Callable[[str, bytes], object]
    names: Callable[[], list[str]]


def directory(path: Path) -> Kept:
    def file(digest: str) -> Path:
        return path / digest[:2] / digest

    return Kept(
        DirectoryStore(path),
        lambda digest: file(digest).read_bytes(),
        lambda digest, data: file(digest).write_bytes(data),
        lambda: sorted(found.name for found in path.glob("*/*")),
    )


def bucket(s3: Any, prefix: str) -> Kept:
    def names() -> list[str]:
        listed = s3.list_objects_v2(Bucket="payloads", Prefix=prefix).get("Contents", [])
        return sorted(found["Key"].removeprefix(prefix) for found in listed)

    return Kept(
        S3Store("payloads", f"/{prefix}", s3),
        lambda digest: s3.get_object(Bucket="payloads", Key=prefix + digest)["Body"].read(),
        lambda digest, data: s3.put_object(Bucket="payloads", Key=prefix + digest, Body=data),
        names,
    )


Opened = Callable[[], Kept]


@pytest.fixture(scope="module", params=["directory", "bucket"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """Opens another empty store each time."""
    numbers = itertools.count()
    if request.param == "directory":
        base = tmp_path_factory.mktemp("payloads")
        yield lambda: directory(base / str(next(numbers)))
        return
    session = boto3.Session("key", "secret", region_name="us-east-1")
    with mock_aws(), contextlib.closing(session.client("s3")) as s3:
        s3.create_bucket(Bucket="payloads")
        yield lambda: bucket(s3, f"some/{next(numbers)}/")


@SETTINGS
@given(values=st.lists(json_values(), max_size=4))
def test_value_is_stored_once_and_read_back_by_its_hash(opened: Opened, values: list[Any]) -> None:
    kept = opened()
    references = [kept.store.put(value) for value in values]
    assert [kept.store.get(made) for made in references] == values
    assert [kept.store.put(value) for value in values] == references
    digests = {made["floto.payload"].removeprefix("sha256:") for made in references}
    assert kept.names() == sorted(digests)
    assert all(reference.digest_of(kept.read(digest)) == digest for digest in digests)


@SETTINGS
@given(value=json_values(), data=st.data())
def test_damaged_value_is_detected_and_repaired_by_the_next_put(
    opened: Opened, value: Any, data: st.DataObject
) -> None:
    kept = opened()
    made = kept.store.put(value)
    digest = made["floto.payload"].removeprefix("sha256:")
    sound = kept.read(digest)
    kept.write(digest, data.draw(damaged(sound)))
    with pytest.raises(PayloadError, match="is damaged"):
        kept.store.get(made)
    assert kept.store.put(value) == made
    assert kept.store.get(made) == value


@st.composite
def damaged(draw: st.DrawFn, sound: bytes) -> bytes:
    at = draw(st.integers(0, len(sound) - 1))
    other = bytes([sound[at] ^ draw(st.integers(1, 255))])
    return draw(
        st.sampled_from([sound[:at], sound + other, sound[:at] + other + sound[at + 1 :], other * 1000])
    )


@SETTINGS
@given(value=json_values())
def test_reference_cannot_be_a_path(opened: Opened, value: Any) -> None:
    """For any reference, the store reads the file of a hash or nothing."""
    kept = opened()
    made = kept.store.put(1)
    for wrong in (value, {**made, "floto.payload": value}, {**made, "size": value}, {**made, "x": value}):
        if wrong != made:
            with pytest.raises(PayloadError):
                kept.store.get(wrong)


WRONG = [
    ("../../etc/passwd", 1, "'floto.payload' must be 'sha256:'"),
    (f"sha256:{'a' * 63}/", 1, "'floto.payload' must be 'sha256:'"),
    (f"sha256:{'A' * 64}", 1, "'floto.payload' must be 'sha256:'"),
    (f"md5:{'a' * 64}", 1, "'floto.payload' must be 'sha256:'"),
    (f"sha256:{'a' * 64}\n", 1, "'floto.payload' must be 'sha256:'"),
    (f"sha256:{'a' * 64}", True, "'size' must be an integer"),
    (f"sha256:{'a' * 64}", -1, "'size' must be an integer"),
    (f"sha256:{'a' * 64}", 2**60, "this store takes"),
    (f"sha256:{'a' * 64}", 1, "is not in|NoSuchKey"),
]


@pytest.mark.parametrize(("digest", "size", "says"), WRONG)
def test_invalid_reference_raises_with_the_reason(opened: Opened, digest: str, size: int, says: str) -> None:
    kept = opened()
    with pytest.raises(PayloadError, match=says):
        kept.store.get({"floto.payload": digest, "size": size})


def test_value_past_the_limit_is_refused_before_it_is_stored(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "kept", limit=10)
    assert store.get(store.put("12345678")) == "12345678"
    with pytest.raises(PayloadError, match="has 11 bytes; this store takes 10"):
        store.put("123456789")


def test_existing_value_is_not_written_again(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.put("same")
    [file] = tmp_path.glob("*/*")
    before = file.stat()
    store.put("same")
    assert file.stat() == before


def test_unwritable_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PayloadError, match=r"cannot be written to .*file"):
        DirectoryStore(tmp_path / "file").put(1)


def test_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_number: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(PayloadError, match="No space left"):
            DirectoryStore(tmp_path).put(1)
    assert not [*tmp_path.glob("*/*")]


@SETTINGS
@given(value=json_values(), big=json_values())
def test_references_are_resolved_at_any_depth_and_once(value: Any, big: Any) -> None:
    made, _ = reference.written(big, 2**20)
    inner = {"deep": [made.to_json(), value], "top": made.to_json()}
    asked: list[Any] = []

    def get(wanted: Any) -> Any:
        asked.append(wanted)
        return made.to_json()

    assert reference.resolved(inner, get) == inner
    assert asked == [made.to_json(), made.to_json()]


@SETTINGS
@given(value=json_values())
def test_value_without_references_is_unchanged(value: Any) -> None:
    def get(wanted: Any) -> Any:
        pytest.fail(f"nobody asked for {json.dumps(wanted)}")

    assert reference.resolved(value, get) == value


def test_missing_value_is_permanent_and_missing_directory_transient(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "kept")
    made = store.put(1)
    (tmp_path / "kept").rename(tmp_path / "unmounted")
    with pytest.raises(StoreUnavailable, match="which is not a directory"):
        store.get(made)
    (tmp_path / "unmounted").rename(tmp_path / "kept")
    assert store.get(made) == 1
    for file in tmp_path.glob("kept/*/*"):
        file.unlink()
    with pytest.raises(PayloadError, match="is not in") as caught:
        store.get(made)
    assert not isinstance(caught.value, StoreUnavailable)


def test_unreachable_bucket_is_transient_and_missing_key_permanent() -> None:
    session = boto3.Session("key", "secret", region_name="us-east-1")
    made, _ = reference.written(1, 100)
    once = Config(retries={"max_attempts": 0}, connect_timeout=1)
    nobody = session.client("s3", endpoint_url="http://127.0.0.1:9", config=once)
    with contextlib.closing(nobody), pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1"):
        S3Store("payloads", client=nobody).get(made.to_json())
    with mock_aws(), contextlib.closing(session.client("s3")) as s3:
        s3.create_bucket(Bucket="payloads")
        with pytest.raises(PayloadError, match="NoSuchKey") as caught:
            S3Store("payloads", client=s3).get(made.to_json())
    assert not isinstance(caught.value, StoreUnavailable)


def test_relative_directory_is_resolved_once_at_creation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = DirectoryStore("kept")
    made = store.put(1)
    monkeypatch.chdir("/")
    assert store.get(made) == 1
    assert store.path == tmp_path / "kept"
