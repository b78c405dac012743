"""Detects impure calls of a function: clocks, files, the environment, random numbers."""

from __future__ import annotations

import gc
import os
import random
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

_Result = TypeVar("_Result")

_CLOCKS = frozenset({"now", "utcnow", "today"})
#: Functions of ``time`` that read no clock.
_HARMLESS_TIME = frozenset({"sleep", "strptime", "mktime", "get_clock_info"})
_RANDOM = frozenset({"urandom", "getrandom"})


def call_and_watch(function: Callable[[], _Result]) -> tuple[_Result, str | None]:
    """Call a function; return its result and a description of the first impure call it made, if any."""
    before = sys.getprofile()
    if before is not None:
        # Only one profiler can be active, and cProfile could not be restored.
        return function(), None
    seen: list[str] = []

    def look(frame: FrameType, event: str, called: Any) -> None:
        found = _found(called, frame) if event == "c_call" else _looked_up(frame, event)
        if found:
            seen.append(found)

    # Callbacks of the garbage collector may read a clock at any time.
    before, collects = sys.getprofile(), gc.isenabled()
    gc.disable()
    sys.setprofile(look)
    try:
        result = function()
    finally:
        sys.setprofile(None)
        if collects:
            gc.enable()
    return result, seen[0] if seen else None


def _found(called: Any, frame: FrameType) -> str | None:
    name, owner = getattr(called, "__name__", ""), getattr(called, "__self__", None)
    module = getattr(called, "__module__", None) or getattr(owner, "__name__", "")
    if module == "time" and name not in _HARMLESS_TIME:
        return f"the clock (time.{name})"
    if name in _CLOCKS and isinstance(owner, type) and owner.__name__ in ("datetime", "date"):
        return f"the clock ({owner.__name__}.{name})"
    if name in _RANDOM or owner is _SHARED_RANDOM:
        return f"random numbers (random.{name})" if owner is _SHARED_RANDOM else f"random numbers (os.{name})"
    if name == "open" and module in ("io", "_io"):
        return "a file (open)"
    if module == "builtins" and name in ("hash", "id") and not frame.f_code.co_filename.startswith("<attrs"):
        return f"a process-dependent value ({name}())"
    return None


def _looked_up(frame: FrameType, event: str) -> str | None:
    return "the environment (os.environ)" if event == "call" and frame.f_code in _ENVIRONMENT else None


_ENVIRON = type(os.environ)
_ENVIRONMENT = frozenset({_ENVIRON.__getitem__.__code__, _ENVIRON.__iter__.__code__})
#: The shared generator of the module ``random``; a seeded one of the user's own is deterministic.
_SHARED_RANDOM = getattr(random.random, "__self__", None)
