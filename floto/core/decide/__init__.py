"""From a spec and a state to decisions."""
