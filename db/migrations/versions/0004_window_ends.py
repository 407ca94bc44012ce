"""Scorers say where windows end. The windows of stored scorers end by count alone, as before.

Revision: 0004
After: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("scorers", sa.Column("window_ends", sa.Text()))
