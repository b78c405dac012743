"""Activity workers: the loop that runs activities, their heartbeats and their outcomes."""
