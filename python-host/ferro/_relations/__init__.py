"""Relations: as classes declare them, between tables, and what they lead to from a row."""
