"""Deciders: the loop that responds to decision tasks, in this process or in a separate one."""
