"""Redrive: a new run that goes on from what completed in an earlier one."""
