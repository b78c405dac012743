"""Retry strategies, under the name that floto 0.0.3 had."""

from __future__ import annotations

from floto.core.spec.retry import ExponentialBackoff, FixedDelay, InstantRetry, Retry, RetryStrategy

__all__ = ["ExponentialBackoff", "FixedDelay", "InstantRetry", "Retry", "RetryStrategy"]
