"""The last step of a document: all that can be computed before the script reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from floto.pages.document.deltas import with_deltas
from floto.pages.document.graph_pixels import with_graph_pixels
from floto.pages.document.lanes import with_lanes
from floto.pages.document.sections import with_sections


def prepare(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document (``floto.pages.document.run_document``) as the script of the run page reads it."""
    return with_deltas(with_sections(with_graph_pixels(with_lanes(document))))
