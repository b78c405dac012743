"""Analysis of saved histories: replay, comparison of specs, task status and timeline."""
