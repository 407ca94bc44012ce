"""A worker that runs for hours holds no more memory than it uses."""

import ctypes
import sys

import psutil
import pytest

from rankmill.worker.health import heap
from rankmill.worker.health.heap import Heap

BLOCK = 64 * 1024  # below what the allocator maps by itself
NUM_BLOCKS = 3_200


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"),
    reason="malloc_trim is the GNU C library's",
)
def test_freed_blocks_between_used_ones_go_back_to_the_system() -> None:
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    blocks = [library.malloc(ctypes.c_size_t(BLOCK)) for _ in range(NUM_BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    for position, block in enumerate(blocks):
        if position % 16:
            library.free(ctypes.c_void_p(block))
    memory = psutil.Process().memory_info
    before = memory().rss
    Heap(pause_s=0).trim()
    given_back = before - memory().rss
    for block in blocks[::16]:
        library.free(ctypes.c_void_p(block))
    assert given_back > BLOCK * NUM_BLOCKS / 2


def test_a_heap_is_trimmed_once_in_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(heap, "trim", lambda: calls.append(1))
    Heap(pause_s=3600).trim()
    assert calls == []
    Heap(pause_s=0).trim()
    assert calls == [1]
