"""The state that a history adds up to."""
