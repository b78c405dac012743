"""Permissions of the files of a payload store, and symbolic links planted in it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from floto import PayloadError
from floto.core.payloads import reference
from floto.payloads import DirectoryStore


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    old = os.umask(mask)
    try:
        yield
    finally:
        os.umask(old)


def file_of(store: DirectoryStore, value: object) -> Path:
    kept, _ = reference.written(value, store.limit)
    return store.path / kept.digest[:2] / kept.digest


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
def test_new_store_is_owner_only_for_any_umask(tmp_path: Path, mask: int) -> None:
    store = DirectoryStore(tmp_path / "new" / "parent" / "store")
    with umask(mask):
        assert store.get(store.put("value")) == "value"
    file = file_of(store, "value")
    for directory in (file.parent, store.path, store.path.parent, tmp_path / "new"):
        assert mode(directory) == 0o700, directory
    assert mode(file) == 0o600


@pytest.mark.parametrize(
    ("existing", "shelf", "file"),
    [
        (0o700, 0o700, 0o600),
        (0o770, 0o770, 0o660),
        (0o2770, 0o2770, 0o660),
        (0o750, 0o750, 0o640),
        (0o755, 0o755, 0o644),
        (0o711, 0o711, 0o600),
        # In a sticky directory others may add files, and not change those of their owner.
        (0o1777, 0o1777, 0o644),
    ],
)
@pytest.mark.parametrize("mask", [0, 0o077])
def test_existing_directory_keeps_its_mode_and_new_files_inherit_it(
    tmp_path: Path, mask: int, existing: int, shelf: int, file: int
) -> None:
    store = DirectoryStore(tmp_path / "store")
    store.path.mkdir()
    store.path.chmod(existing)
    with umask(mask):
        store.put("value")
    made = file_of(store, "value")
    assert (mode(store.path), mode(made.parent), mode(made)) == (existing, shelf, file)


def test_damaged_file_is_replaced_by_one_with_the_mode_of_the_store(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    kept = store.put("value")
    file = file_of(store, "value")
    file.write_bytes(b"damaged")
    file.chmod(0o666)
    assert store.get(store.put("value")) == "value"
    assert store.get(kept) == "value"
    assert mode(file) == 0o600


def test_planted_link_to_a_directory_is_not_followed(tmp_path: Path) -> None:
    store, victim = DirectoryStore(tmp_path / "store"), tmp_path / "victim"
    victim.mkdir()
    store.path.mkdir()
    file_of(store, "value").parent.symlink_to(victim)
    with pytest.raises(PayloadError, match="cannot be written to"):
        store.put("value")
    assert not list(victim.iterdir())


def test_value_behind_a_planted_link_to_a_directory_is_not_read(tmp_path: Path) -> None:
    store, elsewhere = DirectoryStore(tmp_path / "store"), DirectoryStore(tmp_path / "elsewhere")
    kept = elsewhere.put("value")
    store.path.mkdir()
    file_of(store, "value").parent.symlink_to(file_of(elsewhere, "value").parent)
    with pytest.raises(PayloadError, match="cannot be read from"):
        store.get(kept)


def test_planted_link_to_a_file_is_not_read(tmp_path: Path) -> None:
    store, elsewhere = DirectoryStore(tmp_path / "store"), DirectoryStore(tmp_path / "elsewhere")
    kept = elsewhere.put("value")
    file = file_of(store, "value")
    file.parent.mkdir(parents=True)
    file.symlink_to(file_of(elsewhere, "value"))
    with pytest.raises(PayloadError, match="cannot be read from"):
        store.get(kept)
    assert store.get(store.put("value")) == "value"
    assert not file.is_symlink()


def test_store_whose_own_path_is_a_link_is_used(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "store").symlink_to("disk")
    store = DirectoryStore(tmp_path / "store")
    assert store.get(store.put("value")) == "value"
    assert list((tmp_path / "disk").iterdir())


STRANGER = """
import os, sys
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
for use in (os.listdir, open):
    try:
        use(sys.argv[1] if use is os.listdir else sys.argv[2])
        print("let in")
    except PermissionError:
        print("refused")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
def test_another_user_can_neither_list_nor_read_a_new_store() -> None:
    # A directory that every user may enter, unlike those of pytest.
    with tempfile.TemporaryDirectory() as name, umask(0):
        Path(name).chmod(0o755)
        store = DirectoryStore(Path(name) / "store")
        store.put("secret")
        command = [sys.executable, "-c", STRANGER, str(store.path), str(file_of(store, "secret"))]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert done.stdout.split() == ["refused", "refused"]
