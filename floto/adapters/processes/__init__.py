"""The processes on one file: which of them are alive, how they wake each other, and who polls in them."""
