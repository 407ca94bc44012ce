from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankmill.worker.batching.windows import Window, split_into_windows


@st.composite
def cuts(draw: st.DrawFn) -> tuple[int, int, int]:
    window = draw(st.integers(1, 300))
    return draw(st.integers(0, 1000)), window, draw(st.integers(1, window))


@given(cuts())
def test_windows_cover_every_token_of_the_document(cut: tuple[int, int, int]) -> None:
    num_tokens, window, stride = cut
    covered = {
        token for start, end in split_into_windows(num_tokens, window, stride) for token in range(start, end)
    }
    assert set(range(num_tokens)) == covered


@given(cuts())
def test_windows_of_a_long_document_are_all_full_and_end_with_it(cut: tuple[int, int, int]) -> None:
    num_tokens, window, stride = cut
    windows = split_into_windows(num_tokens, window, stride)
    assert {min(window, num_tokens)} == {end - start for start, end in windows}
    assert windows[0].start == 0
    assert num_tokens == windows[-1].end


@given(cuts())
def test_windows_start_one_stride_apart_and_only_the_last_comes_sooner(cut: tuple[int, int, int]) -> None:
    num_tokens, window, stride = cut
    starts = [start for start, _ in split_into_windows(num_tokens, window, stride)]
    steps = [after - before for before, after in pairwise(starts)]
    assert all(step == stride for step in steps[:-1])
    assert all(0 < step <= stride for step in steps[-1:])


@given(cuts())
def test_there_are_no_more_windows_than_the_arithmetic_says(cut: tuple[int, int, int]) -> None:
    num_tokens, window, stride = cut
    expected = 1 if num_tokens <= window else 1 + -(-(num_tokens - window) // stride)
    assert expected == len(split_into_windows(num_tokens, window, stride))


def test_a_document_that_fits_is_one_window() -> None:
    assert [Window(0, 10)] == split_into_windows(10, 10, 3)
    assert [Window(0, 0)] == split_into_windows(0, 10, 3)


def test_a_worked_example() -> None:
    assert split_into_windows(260, 100, 75) == [(0, 100), (75, 175), (150, 250), (160, 260)]


@pytest.mark.parametrize("stride", [0, 11])
def test_a_stride_that_leaves_gaps_is_refused(stride: int) -> None:
    with pytest.raises(ValueError, match="gaps"):
        split_into_windows(100, 10, stride)
