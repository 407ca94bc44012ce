"""Doing something with the rights of an ordinary person, also when the tests run as root."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_NOBODY = 65534


@contextmanager
def as_ordinary_person() -> Iterator[None]:
    """Drops root's power over permissions within the block; changes nothing for anybody else."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
