"""What brings the tables of a database in line with the models."""
