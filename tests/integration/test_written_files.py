"""Files that floto writes: whole or not at all, and never through a link that was planted."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from floto import ActivityTask, DeciderSpec, History, HistoryError, PayloadError
from floto.core.payloads import reference
from floto.files import whole_file, write_file
from floto.payloads import DirectoryStore
from floto.testing import simulate
from tests.integration.hostile import fill, floto

SPEC = DeciderSpec(activity_tasks=[ActivityTask(id_="a", name="a", version="1")])
OTHER = DeciderSpec(activity_tasks=[ActivityTask(id_="b", name="b", version="1")])
RUN = simulate(SPEC).main
WRONG = """
import floto
from attrs import frozen

@frozen
class Never:
    def delay(self, retry):
        return -1

task = floto.ActivityTask(id_="a", name="a", version="1", retry_strategy=Never())
spec = floto.DeciderSpec(activity_tasks=[task])
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.json").write_text(SPEC.to_json())
    Path("other.json").write_text(OTHER.to_json())
    Path("wrong.py").write_text(WRONG)
    RUN.save("saved.json")
    fill(tmp_path / "floto.db", "w", "x")


def _history(path: Path) -> None:
    RUN.save(path)


def _command(*arguments: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        floto(*arguments, str(path))

    return write


WRITERS = {
    "run.json": _history,
    "run.json.gz": _history,
    "timeline.svg": _command("timeline", "saved.json", "-o"),
    "graph.dot": _command("graph", "spec.json", "-o"),
    "shown.json": _command("history", "open w", "-o"),
    "test_shrunk.py": _command("replay", "other.json", "saved.json", "--shrink"),
    "test_fuzz.py": _command("fuzz", "wrong.py:spec", "--seconds", "2", "-o"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_symbolic_link_is_replaced_and_not_followed(name: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    target = tmp_path / name
    target.symlink_to(victim)
    (tmp_path / f"{name}.{os.getpid()}.part").symlink_to(victim)
    WRITERS[name](target)
    assert victim.read_text() == "precious"
    assert stat.S_ISREG(target.lstat().st_mode)
    assert target.stat().st_size
    assert not list(tmp_path.glob(".floto-*"))


def test_symbolic_link_in_a_store_is_replaced_and_not_followed(tmp_path: Path) -> None:
    store, victim = DirectoryStore(tmp_path / "store"), tmp_path / "victim"
    victim.write_text("precious")
    kept, _ = reference.written("value", store.limit)
    file = tmp_path / "store" / kept.digest[:2] / kept.digest
    file.parent.mkdir(parents=True)
    file.symlink_to(victim)
    assert store.get(store.put("value")) == "value"
    assert victim.read_text() == "precious"
    assert not file.is_symlink()


def test_pipe_in_a_store_raises_without_blocking(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    kept, _ = reference.written("value", store.limit)
    file = tmp_path / "store" / kept.digest[:2] / kept.digest
    file.parent.mkdir(parents=True)
    os.mkfifo(file)
    found: list[BaseException] = []

    def use() -> None:
        for call, value in ((store.get, kept.to_json()), (store.put, "value")):
            try:
                call(value)
            except PayloadError as error:
                found.append(error)

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert len(found) == 2
    assert "not a regular file" in str(found[0])


@pytest.mark.parametrize("name", ["pipe", "directory", "link to a pipe"])
def test_special_file_is_not_replaced(name: str, tmp_path: Path) -> None:
    """Renaming over a device such as /dev/null would destroy it."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    (tmp_path / "link to a pipe").symlink_to("pipe")
    before = (tmp_path / name).lstat()
    with pytest.raises(OSError, match=r"not a regular file"):
        RUN.save(tmp_path / name)
    assert (tmp_path / name).lstat().st_ino == before.st_ino
    said = floto("history", "open w", "-o", str(tmp_path / name))
    assert said.code == 2
    assert (tmp_path / name).lstat().st_ino == before.st_ino


def test_failed_write_keeps_the_old_file_and_no_temporary_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def fail() -> None:
        with whole_file(target) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert target.read_bytes() == b"old"
    assert not list(tmp_path.glob(".floto-*"))


@pytest.mark.parametrize("call", ["open", "replace"])
def test_error_names_the_file_and_not_the_temporary_one(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = getattr(os, call)

    def fail(path: Any, *others: Any, **settings: Any) -> Any:
        if not str(path).startswith(".floto-"):
            return function(path, *others, **settings)
        raise OSError(errno.EACCES, "Permission denied", path, None, "file" if call == "replace" else None)

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(PermissionError) as caught:
        write_file(tmp_path / "file", b"new")
    assert str(caught.value) == "[Errno 13] Permission denied: 'file'"
    with pytest.raises(PayloadError, match="Permission denied") as refused:
        DirectoryStore(tmp_path / "store").put("x")
    assert ".floto-" not in str(refused.value)


def test_replaced_file_of_another_user_does_not_pass_on_its_permissions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "file").chmod(0o666)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    write_file(tmp_path / "file", b"2")
    (tmp_path / "usual").write_bytes(b"1")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_new_file_has_the_default_mode_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    write_file(tmp_path / "new", b"1")
    (tmp_path / "usual").write_bytes(b"1")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode
    (tmp_path / "new").chmod(0o600)
    write_file(tmp_path / "new", b"2")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_file_name_of_maximum_length_is_written(tmp_path: Path) -> None:
    RUN.save(tmp_path / f"{'x' * 250}.json")
    assert len(History.load(tmp_path / f"{'x' * 250}.json")) == len(RUN)
    with pytest.raises(HistoryError):
        History.load(tmp_path / "none.json")
