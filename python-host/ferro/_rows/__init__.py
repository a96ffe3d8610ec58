"""Rows: how they are written, and what is known of those that are stored."""
