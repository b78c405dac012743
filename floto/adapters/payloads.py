"""Stores for values that are too long for SWF: a directory, or a bucket of S3.

Both store the JSON of a value under its SHA-256 hash. So a value is written once even if a task is retried,
a stored value never changes, and a reader can verify that it read the value that was written.
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
    """A store of values as files of one directory, which processes and machines may share.

    A value whose reference ``put`` has returned survives a power cut. A missing directory is created for its
    owner only; the files of an existing one get the permissions of the directory. No symbolic link within the
    directory is followed.

    Args:
        path: The directory; a relative path is resolved at once.
        limit: Maximum size of a value in bytes of JSON.
    """

    # Absolute, so that it stays the same directory when the program changes its working directory.
    path: Path = field(converter=_absolute)
    limit: int = field(default=STORE_LIMIT, kw_only=True)

    def put(self, value: Any) -> dict[str, Any]:
        """Write a value, unless it is stored already, and return its reference.

        Args:
            value: A value that JSON can encode.

        Raises:
            PayloadError: if the value is too large or not JSON.
            StoreUnavailable: if it cannot be written now.
        """
        kept, data = reference.written(value, self.limit)
        try:
            self._keep(kept, data)
        except OSError as error:
            raise StoreUnavailable(str(kept), f"cannot be written to {self.path}: {error}") from error
        return kept.to_json()

    def get(self, reference_: Any) -> Any:
        """Return the value of a reference.

        Args:
            reference_: A reference that ``put`` returned.

        Raises:
            PayloadError: if the value is missing, or is not the one that was written.
            StoreUnavailable: if it cannot be read now.
        """
        wanted = reference.read(reference_, self.limit)
        try:
            return wanted.value(self._read(wanted))
        except FileNotFoundError:
            problem = f"is not in {self.path}"
            if self.path.is_dir():
                raise PayloadError(str(wanted), problem) from None
            # The file system is not mounted, or the path is wrong: the value need not be lost.
            raise StoreUnavailable(str(wanted), f"{problem}, which is not a directory") from None
        except OSError as error:
            raise StoreUnavailable(str(wanted), f"cannot be read from {self.path}: {error}") from error

    def _keep(self, kept: Reference, data: bytes) -> None:
        make_private(self.path)
        # Some file systems and tools are slow with a million files in one directory.
        with open_directory(self.path) as store, shared_directory(kept.digest[:2], store) as shelf:
            if not self._holds(kept):
                with whole_file_in(shelf, kept.digest, shared_mode(store)) as file:
                    file.write(data)
            # Even if the file existed: its writer may have been killed before it synced.
            for directory in (shelf, store):
                os.fsync(directory)

    def _holds(self, kept: Reference) -> bool:
        """Return True if the value is stored undamaged; a damaged value or a link is written again."""
        try:
            return reference.digest_of(self._read(kept)) == kept.digest
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ELOOP}:
                return False
            raise

    def _read(self, kept: Reference) -> bytes:
        with open_directory(self.path) as store, open_directory(kept.digest[:2], store) as shelf:
            # One byte more than expected, to detect a file that grew without reading all of it.
            return read_regular(kept.digest, kept.size + 1, shelf)


def _s3() -> Any:
    # Imported here, so that programs without S3 do not load boto3.
    import boto3  # noqa: PLC0415

    from floto.adapters.renewed_credentials import renewed_client  # noqa: PLC0415

    return renewed_client(boto3.client, "s3")


def _need_s3(reply: dict[str, Any]) -> None:
    """Raise ``ValueError`` if S3 did not send the response: a proxy's page has no ETag."""
    if not reply.get("ETag"):
        msg = "the response does not come from S3: it has no ETag"
        raise ValueError(msg)


@frozen
class S3Store:
    """A store of values as objects of an S3 bucket; S3 verifies the hash of each uploaded value.

    Args:
        bucket: The name of the bucket.
        prefix: Prefix of the objects' keys; a slash follows it.
        client: A boto3 S3 client; default: one made from AWS's usual configuration.
        limit: Maximum size of a value in bytes of JSON.
    """

    bucket: str
    prefix: str = ""
    client: Any = field(factory=_s3, repr=False)
    limit: int = field(default=STORE_LIMIT, kw_only=True)

    def put(self, value: Any) -> dict[str, Any]:
        """Write a value, unless it is stored already, and return its reference.

        Args:
            value: A value that JSON can encode.

        Raises:
            PayloadError: if the value is too large or not JSON.
            StoreUnavailable: if it cannot be written now.
        """
        kept, data = reference.written(value, self.limit)
        checksum = b64encode(bytes.fromhex(kept.digest)).decode()
        with self._translating(kept, "cannot be written to"):
            if not self._holds(kept, checksum):
                _need_s3(self.client.put_object(**self._object(kept), Body=data, ChecksumSHA256=checksum))
        return kept.to_json()

    def get(self, reference_: Any) -> Any:
        """Return the value of a reference.

        Args:
            reference_: A reference that ``put`` returned.

        Raises:
            PayloadError: if the value is missing, or is not the one that was written.
            StoreUnavailable: if it cannot be read now.
        """
        wanted = reference.read(reference_, self.limit)
        with self._translating(wanted, "cannot be read from"), self._opened(wanted) as body:
            # One byte more than expected, to detect an object that grew without reading all of it.
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
        """Return True if the value is stored undamaged; if S3 does not say, it is written again."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - as boto3 above

        try:
            head = self.client.head_object(**self._object(kept), ChecksumMode="ENABLED")
        except ClientError:
            return False
        return bool(head.get("ChecksumSHA256") == checksum)

    @contextlib.contextmanager
    def _translating(self, kept: Reference, problem: str) -> Iterator[None]:
        # As boto3 above.
        from botocore.exceptions import ClientError  # noqa: PLC0415

        from floto.adapters.aws_errors import RAISED  # noqa: PLC0415

        try:
            yield
        except RAISED as error:
            where = f"s3://{self.bucket}/{self._key(kept)}"
            code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else ""
            # Only a missing key is a lost value; other causes (access, bucket, network) may be repaired.
            raised = PayloadError if code == "NoSuchKey" else StoreUnavailable
            raise raised(str(kept), f"{problem} {where}: {error}") from error
