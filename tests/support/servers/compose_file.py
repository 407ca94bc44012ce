"""docker-compose.yml as Docker Compose sees it: parsed, with ${VARIABLE} filled in. Needs no engine."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.support.repository import ROOT

COMPOSE_FILE = ROOT / "docker-compose.yml"

_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::(?P<how>[-?])(?P<rest>[^}]*))?\})")


class MissingVariable(Exception):
    """A variable that the file requires is unset or empty."""


def interpolate(text: str, environment: Mapping[str, str]) -> str:
    """`text` with $$, ${NAME}, ${NAME:-default} and ${NAME:?message} as Compose reads them.

    Raises MissingVariable for a required one that is unset or empty.
    """

    def value(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        known = environment.get(found["name"], "")
        if not known and found["how"] == "?":
            raise MissingVariable(f"{found['name']}: {found['rest']}")
        return known or (found["rest"] if found["how"] == "-" else "")

    return _VARIABLE.sub(value, text)


def compose(environment: Mapping[str, str]) -> dict[str, Any]:
    """The whole file with `environment` filled in. Raises MissingVariable."""
    filled = _filled(yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8")), environment)
    assert isinstance(filled, dict)
    return filled


def _filled(node: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(node, str):
        return interpolate(node, environment)
    if isinstance(node, list):
        return [_filled(part, environment) for part in node]
    if isinstance(node, dict):
        return {name: _filled(part, environment) for name, part in node.items()}
    return node
