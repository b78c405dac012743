"""The list of runs: its rows, its filter, and its updates."""
