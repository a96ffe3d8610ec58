"""Models as tables: their columns, and the options of classes."""
