"""Deciders: the loop that answers decision tasks, in this process or in one of its own."""
