"""Queries: from what a caller writes to the shape that the core compiles."""
