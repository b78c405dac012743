"""Stores for values that are longer than SWF allows; ``floto.run``, deciders and workers accept one.

    store = DirectoryStore("payloads")
    floto.run(spec, service="sqlite:///floto.db", payloads=store)

Inputs and results that are too long for SWF are then sent as references to stored values; activities find the
values themselves in their context. An activity may also ``return store.put(value)`` to store a shorter value.
"""

from __future__ import annotations

from floto.adapters.payloads import DirectoryStore, S3Store
from floto.core.errors import PayloadError, PayloadsNeeded, StoreUnavailable
from floto.core.payloads.reference import Store

__all__ = ["DirectoryStore", "PayloadError", "PayloadsNeeded", "S3Store", "Store", "StoreUnavailable"]
