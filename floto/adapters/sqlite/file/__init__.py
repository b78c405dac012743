"""One SQLite file: its tables, its identity, its owners and its backup."""
