"""The file: its schema, and the store of the engine on it."""
