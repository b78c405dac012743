"""Services for the runtime: an engine on one SQLite file, and SWF through boto3."""
