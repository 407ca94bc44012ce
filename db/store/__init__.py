"""The open store: drivers, transactions, the clock, rows in bulk. Knows no job."""
