"""Every reader of JSON refuses the numbers that JSON does not have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from floto.adapters.history_files import load
from floto.adapters.http.requests import parse
from floto.core.payloads.reference import Reference, digest_of
from floto.core.spec.decider_spec import CODEC
from floto.runtime.loading import load_json


def stored(text: str) -> Any:
    data = text.encode()
    return Reference(digest_of(data), len(data)).value(data)


def saved(text: str, path: Path) -> Any:
    path.write_text(text)
    return load(path)


READERS: dict[str, Callable[[str, Path], Any]] = {
    "a stored value": lambda text, _: stored(text),
    "a spec": lambda text, _: CODEC.loads(text),
    "a spec in bytes": lambda text, _: CODEC.loads(text.encode()),
    "a request": lambda text, _: parse(text.encode()),
    "a history": saved,
    "an option": lambda text, _: load_json("--input", text),
}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_number_that_is_not_json_is_refused(
    read: Callable[[str, Path], Any], number: str, tmp_path: Path
) -> None:
    with pytest.raises(Exception, match=f"not JSON.*{number}|{number} is not JSON"):
        read(f'{{"events": [{{"eventId": {number}}}]}}', tmp_path / "run.json")
