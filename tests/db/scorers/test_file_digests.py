"""A large file's digest is computed once while the file is the same, and never taken for another's."""

import hashlib
import os
from pathlib import Path

import pytest

from rankmill.db.scorers import file_digests
from rankmill.db.scorers.file_digests import content_digest

LARGE = b"w" * file_digests.MIN_CACHED_BYTES


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(file_digests, "UNCHANGED_S", -1.0)
    return tmp_path / "cache" / "rankmill" / "digests.json"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with each file that is really read."""
    seen: list[str] = []
    real = hashlib.file_digest

    def counting(file: object, name: str) -> object:
        seen.append(name)
        return real(file, name)  # type: ignore[arg-type]

    monkeypatch.setattr(hashlib, "file_digest", counting)
    return seen


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_that_is_the_same_is_read_once(tmp_path: Path, reads: list[str]) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(LARGE)
    assert {content_digest(path) for _ in range(3)} == {sha256(LARGE)}
    assert len(reads) == 1


def test_another_content_is_seen_even_of_the_same_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(LARGE)
    content_digest(path)
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.write_bytes(LARGE[:-1] + b"x")
    os.utime(path, ns=times)
    assert content_digest(path) == sha256(LARGE[:-1] + b"x")
    other = tmp_path / "other"
    other.write_bytes(LARGE)
    other.replace(path)
    assert content_digest(path) == sha256(LARGE)


def test_a_file_changed_just_now_is_not_remembered(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_digests, "UNCHANGED_S", 3600.0)
    path = tmp_path / "model.safetensors"
    path.write_bytes(LARGE)
    content_digest(path)
    assert not cache.exists()


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'{"x": 3}'])
def test_a_broken_cache_is_as_good_as_none(tmp_path: Path, cache: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(LARGE)
    cache.parent.mkdir(parents=True)
    cache.write_bytes(content)
    assert content_digest(path) == sha256(LARGE)


def test_a_cache_that_cannot_be_written_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    path = tmp_path / "model.safetensors"
    path.write_bytes(LARGE)
    assert content_digest(path) == sha256(LARGE)
