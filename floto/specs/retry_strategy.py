"""When a task that failed is tried again."""

from __future__ import annotations

from floto.core.spec.retry import ExponentialBackoff, FixedDelay, InstantRetry, Retry, RetryStrategy

__all__ = ["ExponentialBackoff", "FixedDelay", "InstantRetry", "Retry", "RetryStrategy"]
