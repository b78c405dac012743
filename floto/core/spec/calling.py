"""How a user's function takes what it is given: as ``context``, as its only argument, or not at all."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def caller(function: Callable[..., Any]) -> Callable[[Any], Any] | None:
    """Passes a context on in the one way the function takes it; None if it takes none of them."""
    signature = inspect.signature(function)
    if "context" in signature.parameters and _binds(signature, context=None):
        return lambda context: function(context=context)
    if _binds(signature):
        return lambda _context: function()
    return function if _binds(signature, None) else None


def _binds(signature: inspect.Signature, *args: Any, **kwargs: Any) -> bool:
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True
