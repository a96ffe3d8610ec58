"""Relations: as declared by classes, between tables, and from a row."""
