"""The open store: connections, transactions and rows in bulk. Knows no job.

urls              store URLs
drivers           how each database is connected to
driver_errors     drivers' errors as ours
store             the open store and its transactions
revisions         schema revisions
opening           a store opened
migrate           a store brought to the newest revision
clock             the database's clock
bulk              many rows at once
storable          what both databases can hold
temporary_tables  temporary tables made and indexed
staging_session   transactions on a connection with temporary tables
"""
