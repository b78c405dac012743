"""Execution of decisions by the engine."""
