"""What models are to a database: tables of columns, and what a class may say of them."""
