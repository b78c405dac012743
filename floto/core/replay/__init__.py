"""Looking back at histories: what was decided, what would be, and why a task stands where it stands."""
