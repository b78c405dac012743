"""Loops and wiring: deciders, workers, connections and the command line."""
