"""Celery's loader, less two things: it imports nothing from the current folder, and reads no settings module.

Celery puts the folder in which it was started first on Python's path. There may be anybody's files.
"""

from types import ModuleType
from typing import Any

from celery.loaders.app import AppLoader


class InstalledOnlyLoader(AppLoader):  # type: ignore[misc]
    """Imports modules as Python does; all settings are in the code."""

    def import_from_cwd(self, module: str, imp: Any = None, package: str | None = None) -> ModuleType:
        found: ModuleType = (imp or self.import_module)(module, package=package)
        return found

    def find_module(self, module: str) -> ModuleType:
        return self.import_from_cwd(module)

    def read_configuration(self, env: str = "") -> None:
        """The environment may name another application's settings."""
