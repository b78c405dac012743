"""The decorators of activities and generators, by the import path of floto 0.0.3."""

from __future__ import annotations

from floto.runtime.workers.activities import activity, generator

__all__ = ["activity", "generator"]
