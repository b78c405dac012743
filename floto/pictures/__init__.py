"""What a person looks at: timelines and graphs, on a terminal and as files."""
