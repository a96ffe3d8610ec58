"""Statements: the shapes of queries, and the WIT's `query` that is made of each."""
