"""Pages: the runs of a service and one run at every moment, for people."""
