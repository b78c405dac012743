"""Activity workers: the loop that runs activities, heartbeats and the reports of outcomes."""
