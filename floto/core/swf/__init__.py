"""SWF's vocabulary: events, decisions, histories, and the port of a service."""
