"""Where the engine keeps its runs: the protocol, the store in memory, and what a step changed."""
