"""One run as a JSON document that holds everything its page draws."""
