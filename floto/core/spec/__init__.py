"""The declarations of a user: specs, tasks, retry strategies, and their JSON form."""
