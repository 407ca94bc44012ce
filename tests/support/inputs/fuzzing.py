"""How many cases a fuzzing test tries: few among the tests, 10,000 with `make fuzz`."""

import os

NUM_CASES = int(os.environ.get("RANKMILL_FUZZ_CASES", "200"))
