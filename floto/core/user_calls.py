"""Calls of a user's function with its context, as far as the function accepts one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def caller(function: Callable[..., Any]) -> Callable[[Any], Any] | None:
    """Return a call of a function with a context: as ``context``, as the only argument, or without it.

    None if the function accepts none of these.
    """
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
