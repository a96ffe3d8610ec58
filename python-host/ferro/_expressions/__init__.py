"""Expressions: what is asked of rows, and the order in which they come."""
