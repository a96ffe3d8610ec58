"""What models are to a database: tables of columns, how they are created, and how they change."""
