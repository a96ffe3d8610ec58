"""Whom the benchmark compares: each is a module with a class `Subject`, imported by its process
only.
"""
