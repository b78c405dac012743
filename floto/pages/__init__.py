"""Pages for people: the runs of a service, and one run at any moment, live or in one file."""
