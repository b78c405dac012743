"""Domains and types: what is registered, with which defaults, in which region."""
