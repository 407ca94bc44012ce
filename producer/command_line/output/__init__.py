"""What commands print: words, tables, progress, JSON."""
