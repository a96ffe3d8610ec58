"""Migrating the tables of a database to the models."""
