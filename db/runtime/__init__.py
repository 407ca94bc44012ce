"""What every process of this program runs with. Knows no SQL and no Celery.

settings          every setting, from the environment
log_events        named events as log lines
failpoints        points where a test may end or stop the process
process_identity  which process this is, and whether another one lives
http_client       one connection to an HTTP server
broker_urls       broker URLs, shown without secrets and compared
broker_protocol   what both sides of the broker agree on
version           the version of this program
"""
