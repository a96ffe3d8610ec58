"""Connections, what runs on them, and the blocks that select one."""
