"""Plugins: components of others, their tenants, and what they may import."""
