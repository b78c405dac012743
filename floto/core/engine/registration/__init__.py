"""Registration of domains and types: their defaults and regions."""
