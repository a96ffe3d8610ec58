"""Statements: the shapes of queries, and their conversion to the WIT's `query`."""
