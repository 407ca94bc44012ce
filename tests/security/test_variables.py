"""Every variable that a library reads from the environment is judged: dropped, honoured or harmless."""

import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

import psycopg
import pytest

from rankmill.db.runtime.foreign_variables import drop_foreign, is_foreign, without_foreign
from rankmill.producer.settings import child_environment, settings_from
from tests.support.variables import variables_read_by

LIBRARIES = (
    *("celery", "kombu", "billiard", "amqp", "vine", "redis", "flower", "tornado", "prometheus_client"),
    *("click", "click_didyoumean", "click_plugins", "click_repl", "tzlocal", "dateutil", "humanize"),
    *("sqlalchemy", "alembic", "mako", "psycopg", "pydantic", "pydantic_settings", "dotenv"),
    *("typer", "rich", "shellingham", "cronsim", "pyarrow", "numpy"),
    *("huggingface_hub", "transformers", "tokenizers", "safetensors"),
)
FAMILIES_OF_MODELS = {"models"}


def judged_patterns() -> list[str]:
    judged = tomllib.loads(Path(__file__).with_name("judged_variables.toml").read_text())
    return [pattern for verdict in judged.values() for patterns in verdict.values() for pattern in patterns]


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_a_library_reads_is_judged(library: str) -> None:
    patterns = judged_patterns()
    read = variables_read_by(library, without=FAMILIES_OF_MODELS if library == "transformers" else set())
    open_ = {
        name: file
        for name, file in read.items()
        if not is_foreign(name) and not any(fnmatchcase(name, pattern) for pattern in patterns)
    }
    assert open_ == {}, (
        "judge these: drop them (db/runtime/foreign_variables.py) or say why not (the TOML file)"
    )


def test_what_the_search_must_find() -> None:
    assert {"CELERY_BROKER_URL", "BROKER_URL", "DJANGO_SETTINGS_MODULE", "CELERY_CONFIG_MODULE"} <= set(
        variables_read_by("celery")
    )
    assert "FLOWER_UNAUTHENTICATED_API" in variables_read_by("flower")
    assert "REMAP_SIGTERM" in variables_read_by("billiard")


def test_what_the_client_of_postgresql_reads_is_judged() -> None:
    names = {option.envvar.decode() for option in psycopg.pq.Conninfo.get_defaults() if option.envvar}
    assert {"PGHOST", "PGSSLMODE"} <= names
    patterns = judged_patterns()
    assert {
        name
        for name in names
        if not is_foreign(name) and not any(fnmatchcase(name, pattern) for pattern in patterns)
    } == set()


def test_no_variable_is_judged_twice() -> None:
    assert [pattern for pattern in judged_patterns() if is_foreign(pattern)] == []


def test_children_get_no_variable_of_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "CELERY_BROKER_URL": "redis://elsewhere/0",
        "PGPASSWORD": "ours",
        "C_INCLUDE_PATH": "/x",
    }.items():
        monkeypatch.setenv(name, value)
    environment = child_environment(settings_from({"model": "null"}))
    assert "CELERY_BROKER_URL" not in environment
    assert (environment["PGPASSWORD"], environment["C_INCLUDE_PATH"]) == ("ours", "/x")
    assert environment["PYTHONSAFEPATH"] == "1"


def test_an_empty_part_of_pythonpath_is_not_handed_on() -> None:
    assert without_foreign({"PYTHONPATH": ":/lib::/more:"})["PYTHONPATH"] == "/lib:/more"


def test_a_process_of_ours_drops_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setattr(os, "environ", {"FLOWER_PORT": "1", "HOME": "/home/ann"})
    drop_foreign()
    assert os.environ == {"HOME": "/home/ann", "PYTHONSAFEPATH": "1"}
