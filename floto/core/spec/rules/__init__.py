"""Rules of tasks: conditions, joins, limits of waits and undos, and whether a task runs at all."""
