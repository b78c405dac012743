"""Decisions from a spec and a state."""
