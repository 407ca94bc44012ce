"""The version of this program, as it is recorded beside every score."""

from importlib.metadata import PackageNotFoundError, version


def program_version() -> str:
    """The version of the installed distribution; `0+source` if none is installed."""
    try:
        return version("rankmill")
    except PackageNotFoundError:
        return "0+source"
