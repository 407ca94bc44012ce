"""Everything a database says about its own schema, as plain values two databases can be compared by."""

import re
from typing import Any

from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import ReflectedCheckConstraint

POSTGRESQL_DEFINITIONS = {
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
    """,
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "columns": """
        SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default, is_identity,
            identity_generation
        FROM information_schema.columns WHERE table_schema = 'public'
    """,
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public'",
}


def schema_snapshot(url: str) -> dict[str, Any]:
    """Tables, columns, keys, checks, indexes and views; Alembic's own table left out."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    engine = create_engine(parsed)
    try:
        with engine.connect() as connection:
            snapshot = {table: table_snapshot(connection, table) for table in tables(connection)}
            return {"tables": snapshot, "rest": rest(connection)}
    finally:
        engine.dispose()


def tables(connection: Connection) -> list[str]:
    return sorted(set(inspect(connection).get_table_names()) - {"alembic_version"})


def table_snapshot(connection: Connection, table: str) -> dict[str, Any]:
    inspector = inspect(connection)
    return {
        "columns": [{**column, "type": repr(column["type"])} for column in inspector.get_columns(table)],
        "primary key": inspector.get_pk_constraint(table),
        "foreign keys": sorted(map(str, inspector.get_foreign_keys(table))),
        "unique": sorted(map(str, inspector.get_unique_constraints(table))),
        "checks": sorted(map(check, inspector.get_check_constraints(table))),
        "indexes": sorted(
            re.sub(r"<[^>]*TextClause[^>]*>", "", str(index)) for index in inspector.get_indexes(table)
        ),
    }


def check(constraint: ReflectedCheckConstraint) -> str:
    return f"{constraint['name']}: {constraint['sqltext']}"


def rest(connection: Connection) -> dict[str, Any]:
    """What the inspector does not tell."""
    if connection.dialect.name == "postgresql":
        return {
            kind: sorted(
                str(tuple(row))
                for row in connection.execute(text(statement))
                if "alembic" not in str(tuple(row))
            )
            for kind, statement in POSTGRESQL_DEFINITIONS.items()
        }
    rows = connection.execute(text("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    definitions = {(kind, name): " ".join(sql.split()) for kind, name, sql in rows if "alembic" not in name}
    return {
        "indexes and views": {key: sql for key, sql in definitions.items() if key[0] != "table"},
        "without row numbers": {key for key, sql in definitions.items() if "WITHOUT ROWID" in sql},
        "numbers never used twice": {key for key, sql in definitions.items() if "AUTOINCREMENT" in sql},
    }
