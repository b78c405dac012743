"""Checks of what programs pass to deciders, workers and runs.

What is of a wrong type would raise an ``AttributeError`` later, in a thread and perhaps only for some runs.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from floto.core.payloads.reference import Store
from floto.core.spec.codec import Codec
from floto.core.swf.identifiers import shown
from floto.core.swf.limits import IDENTITY_LIMIT
from floto.runtime.connect import payload_store

if TYPE_CHECKING:
    from floto.runtime.metrics.metrics import Metrics

C = TypeVar("C", bound=Callable[..., Any])


def checked_store(given: Store | str | None) -> Store | None:
    """Return a payload store, or that of a name.

    Raises:
        UnknownStore: if a string is not the name of a store.
        TypeError: if it is neither a store nor a string.
    """
    if isinstance(given, str):
        return payload_store(given)
    if given is not None and not _has(given, "put", "get"):
        _refuse("payloads", given, "a directory, s3://bucket/prefix, or a store with put() and get()")
    return given


def checked_codec(codec: Codec) -> Codec:
    """Return a codec. Raises ``TypeError`` for something else."""
    if not isinstance(codec, Codec):
        _refuse("codec", codec, "a floto.Codec")
    return codec


def checked_call(function: C | None, name: str) -> C | None:
    """Return a function, or None. Raises ``TypeError`` for what cannot be called."""
    if function is not None and not callable(function):
        _refuse(name, function, "a function")
    return function


def checked_task_list(task_list: str) -> str:
    """Return the name of a task list. Raises ``TypeError`` for something else."""
    if not isinstance(task_list, str):
        _refuse("task_list", task_list, "a string")
    return task_list


def checked_metrics(metrics: Metrics | None) -> Metrics | None:
    """Return metrics, or None. Raises ``TypeError`` for something else, such as a registry."""
    if metrics is not None and not _has(metrics, "handled", "watching"):
        _refuse("metrics", metrics, "a floto.Metrics")
    return metrics


def checked_seconds(seconds: float, name: str) -> float:
    """Return a number of seconds. Raises ``TypeError`` for no number, ``ValueError`` for one below 0."""
    if isinstance(seconds, bool) or not isinstance(seconds, Real):
        _refuse(name, seconds, "a number of seconds")
    if math.isnan(seconds) or seconds < 0:
        msg = f"{name} must be at least 0 seconds, not {shown(seconds)}"
        raise ValueError(msg)
    return float(seconds)


def checked_rate(max_per_second: float | None) -> float | None:
    """Return a rate, or None. Raises ``TypeError`` for no number, ``ValueError`` if it is not above 0."""
    if max_per_second is None:
        return None
    if isinstance(max_per_second, bool) or not isinstance(max_per_second, Real):
        _refuse("max_per_second", max_per_second, "a number")
    if not max_per_second > 0:
        msg = f"max_per_second must be above 0, not {shown(max_per_second)}"
        raise ValueError(msg)
    try:
        # At least the smallest float: a smaller fraction would become 0.
        return max(float(max_per_second), 5e-324)
    except OverflowError:
        return math.inf


def checked_concurrency(concurrency: int) -> int:
    """Return a number of activities. Raises ``TypeError`` for no integer, ``ValueError`` for one below 1."""
    if isinstance(concurrency, bool) or not isinstance(concurrency, Integral):
        _refuse("concurrency", concurrency, "an integer")
    if concurrency < 1:
        msg = f"concurrency must be at least 1, not {concurrency}"
        raise ValueError(msg)
    return int(concurrency)


def checked_identity(identity: str | None) -> str:
    """Return an identity that histories record; by default, host name and process id.

    Raises:
        ValueError: if it is too long for SWF.
        TypeError: if it is not a string.
    """
    if identity is not None and not isinstance(identity, str):
        _refuse("identity", identity, "a string")
    if identity is not None and len(identity) > IDENTITY_LIMIT:
        msg = f"identity is {len(identity)} characters long; SWF allows {IDENTITY_LIMIT}"
        raise ValueError(msg)
    return identity or f"{socket.gethostname()}:{os.getpid()}"[-IDENTITY_LIMIT:]


def _has(value: Any, *names: str) -> bool:
    return all(callable(getattr(value, name, None)) for name in names)


def _refuse(name: str, value: Any, expected: str) -> NoReturn:
    msg = f"{name} must be {expected}, not {shown(value)}"
    raise TypeError(msg)
