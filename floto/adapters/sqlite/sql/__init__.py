"""The SQL statements that read and write the tables."""
