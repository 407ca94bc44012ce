"""Workers note what they compute and what they wait for.

Revision: 0008
After: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("workers", sa.Column("telemetry", sa.Text()))
