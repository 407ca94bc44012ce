"""What every process of this program runs with: settings, log events, failpoints. No SQL, no Celery."""
