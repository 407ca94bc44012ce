"""The database's clock: seconds since the epoch as a double, the same expression on both databases.

The database decides what time it is, so that workers whose clocks are wrong agree about leases.
"""

from typing import Any

from sqlalchemy import Double
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

NOW_SQL = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    # clock_timestamp() and not now(), which stands still while a transaction waits for a lock.
    "postgresql": "extract(epoch from clock_timestamp())::double precision",
}


class now_s(FunctionElement[float]):
    """Seconds since the epoch by the database's clock."""

    inherit_cache = True
    type = Double()


@compiles(now_s, "sqlite")
def _now_sqlite(_element: now_s, _compiler: Any, **_options: Any) -> str:
    return NOW_SQL["sqlite"]


@compiles(now_s, "postgresql")
def _now_postgresql(_element: now_s, _compiler: Any, **_options: Any) -> str:
    return NOW_SQL["postgresql"]
