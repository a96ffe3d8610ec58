"""Plugins: third-party components, their tenants, and what they may import."""
