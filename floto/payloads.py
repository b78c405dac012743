"""Stores for values that are too long for SWF; ``floto.run``, deciders, workers and activities take one.

    store = DirectoryStore("payloads")
    floto.run(spec, service="sqlite:///floto.db", payloads=store)

Long inputs and results then travel as references, and activities get the values themselves in their context.
An activity may also ``return store.put(value)`` for what is short enough but need not travel.
"""

from __future__ import annotations

from floto.adapters.payloads import DirectoryStore, S3Store
from floto.core.errors import PayloadError, PayloadsNeeded, StoreUnavailable
from floto.core.payloads.reference import Store

__all__ = ["DirectoryStore", "PayloadError", "PayloadsNeeded", "S3Store", "Store", "StoreUnavailable"]
