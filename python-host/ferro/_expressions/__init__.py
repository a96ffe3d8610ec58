"""Expressions: conditions, values and orders."""
