"""Connections, what runs on them, and the blocks that say which one counts."""
