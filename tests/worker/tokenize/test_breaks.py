"""Windows that end where a sentence or a clause does: the policy on numbers, and on texts of all scripts."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankmill.worker.batching.windows import Window, reach, split_into_windows
from rankmill.worker.tokenize.breaks import Breaks, find_breaks
from rankmill.worker.tokenize.tokenizer import TokenizedText
from tests.support.inputs.texts import DOCUMENTS, LONG, QUERIES, STRANGE
from tests.worker.conftest import LoadScorer


def ascending(tokens: set[int]) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(sorted(tokens), np.int32)


@st.composite
def cuts_at_breaks(draw: st.DrawFn) -> tuple[int, int, int, Breaks]:
    window = draw(st.integers(1, 200))
    num_tokens = draw(st.integers(0, 1000))
    places = st.sets(st.integers(1, max(1, num_tokens - 1)), max_size=120)
    breaks = Breaks(ascending(draw(places)), ascending(draw(places)))
    return num_tokens, window, draw(st.integers(1, window)), breaks


@given(cuts_at_breaks())
def test_windows_at_boundaries_cover_every_token(cut: tuple[int, int, int, Breaks]) -> None:
    num_tokens, window, stride, breaks = cut
    windows = split_into_windows(num_tokens, window, stride, breaks)
    assert (windows[0].start, windows[-1].end) == (0, num_tokens)
    assert set(range(num_tokens)) == {token for start, end in windows for token in range(start, end)}


@given(cuts_at_breaks())
def test_windows_share_what_the_stride_leaves_and_hardly_more(cut: tuple[int, int, int, Breaks]) -> None:
    num_tokens, window, stride, breaks = cut
    near = reach(window, stride)
    windows = split_into_windows(num_tokens, window, stride, breaks)
    shared = [before.end - after.start for before, after in pairwise(windows)]
    assert all(window - stride <= number <= window - stride + near for number in shared[:-1])
    assert all(window - stride <= number for number in shared[-1:])
    assert all(after.start > before.start for before, after in pairwise(windows[:-1]))


@given(cuts_at_breaks())
def test_windows_at_boundaries_are_at_most_a_reach_shorter(cut: tuple[int, int, int, Breaks]) -> None:
    num_tokens, window, stride, breaks = cut
    near = reach(window, stride)
    windows = split_into_windows(num_tokens, window, stride, breaks)
    if len(windows) > 1:
        assert all(window - near <= end - start <= window for start, end in windows)
        assert len(windows) <= 1 + -(-(num_tokens - window) // (stride - 2 * near))


@given(cuts_at_breaks())
def test_a_window_that_ends_elsewhere_has_no_boundary_near(cut: tuple[int, int, int, Breaks]) -> None:
    num_tokens, window, stride, breaks = cut
    near = reach(window, stride)
    known = set(breaks.sentences.tolist()) | set(breaks.clauses.tolist())
    for start, end in split_into_windows(num_tokens, window, stride, breaks)[:-1]:
        wanted = range(start + window - near, start + window + 1)
        assert end in known or (end == start + window and known.isdisjoint(wanted))


def test_a_sentence_is_preferred_to_a_nearer_clause() -> None:
    breaks = Breaks(ascending({92, 130}), ascending({98, 120}))
    assert split_into_windows(180, 100, 80, breaks)[:2] == [Window(0, 92), Window(72, 172)]
    assert split_into_windows(180, 100, 80, breaks._replace(sentences=ascending(set())))[0] == Window(0, 98)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("It ends. It begins.", ["It ends.", " It begins."]),
        ('He said "no." She left!', ['He said "no."', " She left!"]),
        ("合同终止。通知须书面作出。", ["合同终止。", "通知须书面作出。"]),
        ("「帰る。」と言った。", ["「帰る。」", "と言った。"]),
        ("هل انتهى؟ نعم.", ["هل انتهى؟", " نعم."]),
        ("यह समाप्त होता है। फिर शुरू होता है।", ["यह समाप्त होता है।", " फिर शुरू होता है।"]),
        ("ARTICLE 1\n\nThe parties agree", ["ARTICLE 1\n\n", "The parties agree"]),
        ("See no. three of e.g. this list", ["See no.", " three of e.g.", " this list"]),
        ("rent, tax; and fees", ["rent,", " tax;", " and fees"]),
        ("租金、税费；以及费用", ["租金、", "税费；", "以及费用"]),
        ("สัญญาสิ้นสุด ผู้เช่าย้ายออก", ["สัญญาสิ้นสุด ", "ผู้เช่าย้ายออก"]),
        ("3.14 and 1,000 are numbers", ["3.14 and 1,000 are numbers"]),
        ("", [""]),
    ],
)
def test_sentences_and_clauses_end_where_a_reader_says(text: str, pieces: list[str]) -> None:
    breaks = find_breaks(text, np.arange(len(text), dtype=np.int32))
    places = sorted({0, *breaks.sentences.tolist(), *breaks.clauses.tolist(), len(text)})
    assert [text[start:end] for start, end in pairwise(places)] == ([] if not text else pieces)


def test_abbreviations_end_clauses_and_not_sentences() -> None:
    text = "See no. three. Then go"
    breaks = find_breaks(text, np.arange(len(text), dtype=np.int32))
    assert (breaks.sentences.tolist(), breaks.clauses.tolist()) == ([14], [7])


SENTENCES = [*QUERIES, *DOCUMENTS, *STRANGE, "Ends; here, or. there", "\n\n", "。", "e\u0301."]


@pytest.mark.parametrize("family", ["xlm-roberta", "bert", "modernbert"])
@settings(max_examples=40)
@given(parts=st.lists(st.one_of(st.sampled_from(SENTENCES), st.text(max_size=30)), max_size=30))
def test_spans_of_windows_lie_in_the_text_and_decode_to_the_tokens_scored(
    load: LoadScorer, family: str, parts: list[str]
) -> None:
    text = " ".join(parts).encode(errors="replace").decode()
    scorer = load(family, window=40, stride=30, window_ends="boundaries")
    query = scorer.tokenizer.encode({0: "?"})[0]
    document = scorer.tokenizer.encode({0: text})[0]
    windows = scorer.limits.read(len(query), len(document), document.breaks).windows
    assert {token for start, end in windows for token in range(start, end)} == set(range(len(document)))
    for window in windows:
        start, end = document.span(*window)
        assert 0 <= start <= end <= len(text)
        inside = np.arange(window.start, window.end)
        assert (document.starts[inside] >= start).all()
        assert (document.ends[inside] <= end).all()
        others = _tokens_inside(document, start, end) - set(inside.tolist())
        assert all(_shares_a_character(document, token, window) for token in others)


def _tokens_inside(document: TokenizedText, start: int, end: int) -> set[int]:
    """The tokens that lie in the span and stand for something in it."""
    lie = (document.starts >= start) & (document.ends <= end) & (document.ends > document.starts)
    return set(np.flatnonzero(lie).tolist())


def _shares_a_character(document: TokenizedText, token: int, window: Window) -> bool:
    """Whether a character is cut through: one of a few tokens, some in the window and some not."""
    return any(
        document.starts[token] < document.ends[edge] and document.starts[edge] < document.ends[token]
        for edge in (window.start, window.end - 1)
    )


def test_a_long_texts_windows_end_with_its_sentences(load: LoadScorer) -> None:
    text = " ".join(document for document in DOCUMENTS * 6 if " " in document)
    scorer = load("bert", window=160, window_ends="boundaries")
    document = scorer.tokenizer.encode({0: text})[0]
    windows = scorer.limits.read(10, len(document), document.breaks).windows
    ends = [text[: document.span(*window)[1]][-1] for window in windows]
    starts = [text[: document.span(*window)[0]].rstrip()[-1:] for window in windows]
    assert len(windows) > 5
    assert {*ends, *starts} <= set(".,;") | {""}


def test_windows_of_a_scorer_from_before_are_cut_by_count_alone(load: LoadScorer) -> None:
    scorer = load("bert", window=160)
    document = scorer.tokenizer.encode({0: LONG})[0]
    windows = scorer.limits.read(10, len(document), document.breaks).windows
    assert {160} == {end - start for start, end in windows}
