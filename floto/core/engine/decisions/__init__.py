"""How the engine carries out the decisions of a decider."""
