"""SWF's vocabulary: events, decisions, histories and the port through which a service is used."""
