"""What people see: the tables, the stream of text, the figures."""
