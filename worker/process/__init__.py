"""How a worker process begins, hears of work, and ends."""
