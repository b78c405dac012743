"""Timelines and graphs of runs for people, on a terminal and as files."""
