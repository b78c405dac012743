"""The page of one run, or of several, as one file that needs nothing else.

The file is opened from a disk, so it makes no request: style, script and documents are in it. Its
Content-Security-Policy allows one style and one script, by their hashes. A document is gzip in base64 in a
block that is not executed, so that no text of a run can end it. The attributes of the events, the largest
part, are a block of their own, which the script unpacks when they are first looked at.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from attrs import define, frozen

from floto.core.errors import FlotoError
from floto.core.visible import shorten_middle, visible

#: Modules of the script, in the order in which each is after those that it imports.
MODULES = ("common.js", "draw.js", "run.js")
_PACKAGE = "floto.pages"
_IMPORT = re.compile(r"^import .*\n", re.MULTILINE)
#: Most characters of a name in the title and in the list of runs.
_LONGEST = 200
_EXPORT = re.compile(r"^export ", re.MULTILINE)

#: A document as ``floto.pages.document.prepare`` returns it.
Document = Mapping[str, Any]


@define
class NoPages(FlotoError):
    """The library that renders pages is not installed."""

    def __str__(self) -> str:
        """Return what to do."""
        return "a page needs extra packages: pip install 'floto[ui]'"


@frozen
class _Packed:
    """A run in a report: what its list shows, and its data in base64."""

    workflow_id: str
    run_id: str
    status: str
    document: str
    raw: str

    @property
    def name(self) -> str:
        """The workflow id, printable, and of a long one without its middle."""
        return visible(shorten_middle(self.workflow_id, _LONGEST))


def report(documents: Sequence[Document]) -> str:
    """Return the HTML of a report.

    Args:
        documents: Documents of the runs (``floto.pages.document.prepare``), in the order of the list; at
            least one.

    Raises:
        NoPages: if the extra ``ui`` is not installed.
    """
    runs = [_packed(each) for each in documents]
    title = runs[0].name if len(runs) == 1 else f"{len(runs)} runs"
    style, script = static("style.css"), _bundle()
    template = environment().get_template("report.html")
    parts = {"style": style, "script": script, "icon": _base64(static("icon.svg").encode())}
    hashes = {"style_hash": _hash(style), "script_hash": _hash(script)}
    page: str = template.render(title=title, runs=runs, **parts, **hashes)
    return page


def static(name: str) -> str:
    """Return the text of a file of ``static``."""
    return (files(_PACKAGE) / "static" / name).read_text(encoding="utf-8")


@cache
def environment() -> Any:
    """Return jinja's environment for the templates; all values are escaped.

    Raises:
        NoPages: if the extra ``ui`` is not installed.
    """
    try:
        import jinja2  # noqa: PLC0415 - only the extra installs it
    except ModuleNotFoundError:
        raise NoPages from None
    loader = jinja2.PackageLoader(_PACKAGE)
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)


def _packed(document: Document) -> _Packed:
    run = document["run"]
    rest = {name: value for name, value in document.items() if name != "raw"}
    return _Packed(run["workflow_id"], run["run_id"], run["status"], _pack(rest), _pack(document["raw"]))


def _pack(value: Any) -> str:
    # ASCII, as unpaired surrogates cannot be encoded otherwise; the same document gives the same bytes.
    text = json.dumps(value, separators=(",", ":"))
    return _base64(gzip.compress(text.encode("ascii"), compresslevel=9, mtime=0))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _hash(text: str) -> str:
    return _base64(hashlib.sha256(text.encode()).digest())


def _bundle() -> str:
    """Return the modules as one: a module in a file on a disk cannot import another."""
    return "".join(_EXPORT.sub("", _IMPORT.sub("", static(name))) for name in MODULES)
