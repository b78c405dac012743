"""What a user declares: specs, tasks, retry strategies, and their JSON form."""
