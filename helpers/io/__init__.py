"""Files: downloads that are verified, writing, tables of other people, what made a result."""
