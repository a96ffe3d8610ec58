"""Rows: how they are written, and how their stored state is tracked."""
