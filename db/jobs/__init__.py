"""A job: found, watched, steered, and what is asked of its end."""
