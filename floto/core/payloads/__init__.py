"""Values in SWF's text fields: JSON, and references to values that are too long for them."""
