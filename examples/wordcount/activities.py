"""The activities of the word count.

A word is a run of the letters A to Z of at least four letters, in lower case. Every
activity may be killed at any moment and run again: files are written whole or not at all.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from hashlib import sha1
from pathlib import Path
from typing import Any

import floto

DEFAULTS = {"directory": ".", "suffixes": [".md", ".py"], "output": ".wordcount"}
SKIPPED = frozenset({"__pycache__", "node_modules", "venv", "env", "build", "dist"})
SHORTEST = 4
LONGEST_ID = 200
#: Hexadecimal digits of a file's name among the counts.
DIGEST = 16
RETRY = floto.ExponentialBackoff(initial=1, factor=2, cap=30, retries=3)


@floto.generator(name="list_files", version="1")
def list_files(context: dict[str, Any]) -> Iterator[floto.ActivityTask]:
    """One task for each text file under the directory."""
    settings = settings_of(context)
    for number, file in enumerate(sorted(text_files(settings))):
        # The first one fails at its first attempt, to show what a retry looks like.
        yield floto.ActivityTask(
            id_=f"count {readable_id(file)}",
            name="count_words",
            version="1",
            input={"file": file, "flaky": number == 0},
            retry_strategy=RETRY,
        )


@floto.activity(name="count_words", version="1")
def count_words(context: dict[str, Any]) -> dict[str, Any]:
    """Count the words of one file; the counts stay on disk, and where they are is passed on."""
    settings, task = settings_of(context), context["activity_task"]
    if task["flaky"]:
        fail_once(Path(settings["output"]))
    text = Path(settings["directory"], task["file"]).read_text(encoding="utf-8", errors="replace")
    counts = Counter(words(text))
    # Short: the results of all files are the input of the next task, and digests cannot be compressed.
    name = sha1(task["file"].encode(), usedforsecurity=False).hexdigest()[:DIGEST]
    path = Path(settings["output"], "counts", f"{name}.json")
    write(path, json.dumps(counts))
    return {"counts": str(path), "words": counts.total()}


@floto.activity(name="total", version="1")
def total(context: dict[str, Any]) -> dict[str, Any]:
    """Add up the counts of all files."""
    counts: Counter[str] = Counter()
    # What a generator passes on is the ids of its tasks.
    records = [context[task_id] for task_id in context["list files"]]
    for record in records:
        counts.update(json.loads(Path(record["counts"]).read_text(encoding="utf-8")))
    path = Path(settings_of(context)["output"], "total.json")
    write(path, json.dumps(counts))
    return {"counts": str(path), "files": len(records), "words": counts.total()}


@floto.activity(name="write_report", version="1")
def write_report(context: dict[str, Any]) -> dict[str, Any]:
    """Write the report; a child's workflow input is the context of its parent's task."""
    given = context["workflow"]
    counts = Counter(json.loads(Path(given["total"]["counts"]).read_text(encoding="utf-8")))
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    lines = [f"{count:8}  {word}" for word, count in ranked[:100]]
    path = Path(settings_of(given)["output"], "report.md")
    write(path, "\n".join(["# The hundred most frequent words", "", *(f"    {line}" for line in lines), ""]))
    return {
        "files": given["total"]["files"],
        "words": given["total"]["words"],
        "report": str(path),
        "most_frequent": [{"word": word, "count": count} for word, count in ranked[:10]],
    }


def settings_of(context: dict[str, Any]) -> dict[str, Any]:
    """The workflow's input over the defaults."""
    return {**DEFAULTS, **(context.get("workflow") or {})}


def words(text: str) -> list[str]:
    """The words of a text."""
    return [word.lower() for word in re.findall("[A-Za-z]+", text) if len(word) >= SHORTEST]


def text_files(settings: dict[str, Any]) -> Iterator[str]:
    """Paths of the text files below the directory, without what tools keep there."""
    top, output = Path(settings["directory"]), Path(settings["output"]).resolve()
    for parent, directories, names in os.walk(top):
        directories[:] = [name for name in directories if not skipped(Path(parent, name), output)]
        for name in names:
            if name.endswith(tuple(settings["suffixes"])):
                yield Path(parent, name).relative_to(top).as_posix()


def skipped(directory: Path, output: Path) -> bool:
    """Whether a directory is hidden, a cache, a virtual environment or this workflow's own output."""
    name = directory.name
    return (
        name.startswith(".")
        or name in SKIPPED
        or name.endswith(".egg-info")
        or (directory / "pyvenv.cfg").exists()
        or directory.resolve() == output
    )


def readable_id(file: str) -> str:
    """A path as SWF takes it in an id: without slashes, and not too long."""
    flat = file.replace("/", ":")
    if ":" in file or "|" in file or len(flat) > LONGEST_ID or not flat.isprintable():
        return sha1(file.encode(), usedforsecurity=False).hexdigest()
    return flat


def fail_once(output: Path) -> None:
    """Fail, once in each run."""
    marker = output / f"failed-once-{floto.current().execution.run_id.replace('/', '-')}"
    if not marker.exists():
        write(marker, "")
        msg = "fails on purpose, the first time"
        raise OSError(msg)


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
