"""First token embeddings from which tokens stand together in the contracts, before the model is trained.

Positive pointwise mutual information, reduced to the model's width: words used alike ("assign", "transfer")
start out alike, which a model this small would not find out from the labels alone. Beside these stand columns
that say in which kinds of clause a token is usual. It knows only token ids and marks.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

REACH = 6
SMOOTHING = 0.75
SCALE = 0.5  # large beside the learning rate, or the first steps of training would wipe all of this out
QUERY_WEIGHT = 3


def cooccurrence_embeddings(
    texts: Sequence[np.ndarray], vocabulary_size: int, width: int, seed: int
) -> torch.Tensor:
    """One row a token, `width` wide, with `SCALE` as standard deviation."""
    counts = np.zeros(vocabulary_size * vocabulary_size, dtype=np.float32)
    for distance in range(1, REACH + 1):
        for text in texts:
            pairs = text[:-distance] * vocabulary_size + text[distance:]
            found, times = np.unique(pairs, return_counts=True)
            counts[found] += times / distance
    table = torch.from_numpy(counts).view(vocabulary_size, vocabulary_size)
    table = table + table.T
    rows, columns = table.sum(1, keepdim=True), table.sum(0, keepdim=True) ** SMOOTHING
    expected = rows * columns / columns.sum()
    information = torch.log((table / expected.clamp_min(1e-9)).clamp_min(1.0))
    generator = torch.Generator().manual_seed(seed)
    basis = torch.randn(vocabulary_size, width + 32, generator=generator)
    for _ in range(4):
        basis, _ = torch.linalg.qr(information @ (information.T @ basis))
    left, sizes, _ = torch.linalg.svd(basis.T @ information, full_matrices=False)
    found_rows = (basis @ left)[:, :width] * sizes[:width].sqrt()
    found_rows = found_rows - found_rows.mean(0)
    # A token that never stands anywhere (a byte of another script) gets noise rather than nothing.
    unseen = rows.flatten() == 0
    found_rows[unseen] = torch.randn(int(unseen.sum()), width, generator=generator) * found_rows.std()
    return found_rows / found_rows.std() * SCALE


def kind_embeddings(
    windows: Iterable[tuple[np.ndarray, np.ndarray]],
    queries: Iterable[tuple[Sequence[int], int]],
    vocabulary_size: int,
    kinds: int,
) -> torch.Tensor:
    """One row a token, one column a kind of clause: how much more usual the token is there than elsewhere.

    `windows` are token ids with their marks, `queries` token ids with the number of the kind they ask for.
    """
    inside = np.zeros((kinds, vocabulary_size))
    overall = np.zeros(vocabulary_size)
    for tokens, marks in windows:
        overall += np.bincount(tokens, minlength=vocabulary_size)
        for kind in range(kinds):
            inside[kind] += np.bincount(tokens[(marks >> kind) & 1 == 1], minlength=vocabulary_size)
    for tokens, kind in queries:
        np.add.at(inside[kind], list(tokens), QUERY_WEIGHT)
        np.add.at(overall, list(tokens), QUERY_WEIGHT)
    share = (inside + 0.02) / (inside.sum(1, keepdims=True) + 0.02 * vocabulary_size)
    usual = (overall + 1) / (overall.sum() + vocabulary_size)
    # A token seen a few times proves little: its evidence is held back in proportion.
    evidence = np.log(np.maximum(share / usual, 1.0)) * inside / (inside + 3)
    columns = torch.from_numpy(evidence.T).float()
    return (columns - columns.mean(0)) / columns.std() * SCALE


def wave_positions(count: int, width: int) -> torch.Tensor:
    """One row a position: sines and cosines, long ones too, so that the query's end is easy to tell."""
    lengths = 8.0 * 2.0 ** torch.linspace(0, 8, width // 2)
    angles = 2 * torch.pi * torch.arange(count)[:, None] / lengths
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, torch.randperm(width)] * SCALE / 2
