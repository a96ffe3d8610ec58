"""Models: what a class declares, and the operations on a whole model."""
