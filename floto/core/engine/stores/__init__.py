"""Stores of the engine: their protocol, the in-memory store, and the changes of a step."""
