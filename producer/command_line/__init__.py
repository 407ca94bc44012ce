"""The command line: options in, text and exit codes out. The other rooms do the work.

`application` has every command under its name; `commands` are their functions, `options` and `option_groups`
what these take, `output` what they print, `exit_codes` how they end. Knows no SQL and no Celery.
"""

from rankmill.producer.command_line.application import main

__all__ = ["main"]
