"""Scorers say where windows end; those that are stored cut them by count alone, and go on to.

Revision: 0004
After: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("scorers", sa.Column("window_ends", sa.Text()))
