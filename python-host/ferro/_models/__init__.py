"""Models: what a class declares, and what is asked of it as a whole."""
