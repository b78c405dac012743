"""Stores for values that are too long for SWF: a directory, or a bucket of S3.

Both keep the JSON of a value under its own hash. So a value is written once however often a task is
tried again, nothing is ever changed, and what is read is known to be what was written.
"""

from __future__ import annotations

import contextlib
import errno
import os
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import field, frozen

from floto.core.errors import PayloadError, StoreUnavailable
from floto.core.payloads import reference
from floto.core.payloads.reference import STORE_LIMIT, Reference
from floto.files import (
    make_private,
    open_directory,
    read_regular,
    shared_directory,
    shared_mode,
    whole_file_in,
)


def _absolute(path: str | Path) -> Path:
    return Path(path).absolute()


@frozen
class DirectoryStore:
    """Values as files of one directory, which any number of processes and machines may share.

    A value takes up to ``limit`` bytes as JSON. Whatever was returned by ``put`` survives a power cut. A
    directory that is missing is made for its owner only; in one that exists, files can be read and written by
    those who may read and write the directory. No link in the directory is followed.
    """

    # Absolute, so that it goes on meaning the same directory when the program changes its own.
    path: Path = field(converter=_absolute)
    limit: int = field(default=STORE_LIMIT, kw_only=True)

    def put(self, value: Any) -> dict[str, Any]:
        """Keep a value; its reference. Raises ``PayloadError``."""
        kept, data = reference.written(value, self.limit)
        try:
            self._keep(kept, data)
        except OSError as error:
            raise StoreUnavailable(str(kept), f"cannot be written to {self.path}: {error}") from error
        return kept.to_json()

    def get(self, reference_: Any) -> Any:
        """The value of a reference. Raises ``PayloadError`` if it is not there, or not what was written."""
        wanted = reference.read(reference_, self.limit)
        try:
            return wanted.value(self._read(wanted))
        except FileNotFoundError:
            problem = f"is not in {self.path}"
            if self.path.is_dir():
                raise PayloadError(str(wanted), problem) from None
            # A file system that is not mounted, or a slip in the name: no value is known to be lost.
            raise StoreUnavailable(str(wanted), f"{problem}, which is not a directory") from None
        except OSError as error:
            raise StoreUnavailable(str(wanted), f"cannot be read from {self.path}: {error}") from error

    def _file(self, kept: Reference) -> Path:
        # Some file systems and most people do not like a million files in one directory.
        return self.path / kept.digest[:2] / kept.digest

    def _keep(self, kept: Reference, data: bytes) -> None:
        make_private(self.path)
        with open_directory(self.path) as store, shared_directory(kept.digest[:2], store) as shelf:
            if not self._holds(kept):
                with whole_file_in(shelf, kept.digest, shared_mode(store)) as file:
                    file.write(data)
            # In any case: who wrote it may have been killed before.
            for directory in (shelf, store):
                os.fsync(directory)

    def _holds(self, kept: Reference) -> bool:
        """Whether the value is there, and whole: a damaged one, or a link, is written again."""
        try:
            return reference.digest_of(self._read(kept)) == kept.digest
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ELOOP}:
                return False
            raise

    def _read(self, kept: Reference) -> bytes:
        # One more byte, so that a file that grew is noticed and never read whole.
        return read_regular(self._file(kept), kept.size + 1)


def _s3() -> Any:
    # Imported where it is used: who keeps values in a directory need not load boto3.
    import boto3  # noqa: PLC0415

    return boto3.client("s3")


def _need_s3(reply: dict[str, Any]) -> None:
    """Raise ``ValueError`` unless S3 itself answered: the page of a proxy has no ETag, and is not a value."""
    if not reply.get("ETag"):
        msg = "the answer is not one of S3"
        raise ValueError(msg)


@frozen
class S3Store:
    """Values as objects of a bucket, their keys beginning with ``prefix``.

    ``client`` is boto3's for S3, by default one that AWS's usual configuration makes. A value takes up
    to ``limit`` bytes as JSON; S3 checks the hash of what it is sent.
    """

    bucket: str
    prefix: str = ""
    client: Any = field(factory=_s3, repr=False)
    limit: int = field(default=STORE_LIMIT, kw_only=True)

    def put(self, value: Any) -> dict[str, Any]:
        """Keep a value; its reference. Raises ``PayloadError``."""
        kept, data = reference.written(value, self.limit)
        checksum = b64encode(bytes.fromhex(kept.digest)).decode()
        with self._told(kept, "cannot be written to"):
            if not self._holds(kept, checksum):
                _need_s3(self.client.put_object(**self._object(kept), Body=data, ChecksumSHA256=checksum))
        return kept.to_json()

    def get(self, reference_: Any) -> Any:
        """The value of a reference. Raises ``PayloadError`` if it is not there, or not what was written."""
        wanted = reference.read(reference_, self.limit)
        with self._told(wanted, "cannot be read from"), self._opened(wanted) as body:
            # One more, so that an object that grew is noticed and never read whole.
            data: bytes = body.read(wanted.size + 1)
        return wanted.value(data)

    @contextlib.contextmanager
    def _opened(self, wanted: Reference) -> Iterator[Any]:
        reply = self.client.get_object(**self._object(wanted))
        with contextlib.closing(reply["Body"]) as body:
            _need_s3(reply)
            yield body

    def _key(self, kept: Reference) -> str:
        return "/".join(part for part in (self.prefix.strip("/"), kept.digest) if part)

    def _object(self, kept: Reference) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self._key(kept)}

    def _holds(self, kept: Reference, checksum: str) -> bool:
        """Whether the value is there, and whole; where S3 will not say, it is written again."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - as boto3 above

        try:
            head = self.client.head_object(**self._object(kept), ChecksumMode="ENABLED")
        except ClientError:
            return False
        return bool(head.get("ChecksumSHA256") == checksum)

    @contextlib.contextmanager
    def _told(self, kept: Reference, problem: str) -> Iterator[None]:
        # As boto3 above.
        from botocore.exceptions import ClientError  # noqa: PLC0415

        from floto.adapters.aws_errors import RAISED  # noqa: PLC0415

        try:
            yield
        except RAISED as error:
            where = f"s3://{self.bucket}/{self._key(kept)}"
            code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else ""
            # Only a key that is not there is lost; the rest (access, bucket, network) may be mended.
            raised = PayloadError if code == "NoSuchKey" else StoreUnavailable
            raise raised(str(kept), f"{problem} {where}: {error}") from error
