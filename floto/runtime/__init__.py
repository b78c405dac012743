"""Loops and wiring: deciders, workers, connections and the command line."""

from __future__ import annotations

from floto.logs import guard_logs

guard_logs()
