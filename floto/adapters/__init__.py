"""Implementations of the ``Service`` port: an engine on one SQLite file, and SWF through boto3."""
