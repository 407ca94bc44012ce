"""The forward pass: from a batch of tokens to logits.

Knows tensors and batches; knows no text, no pair and no file. Of the rooms that scoring goes through, only
`loading` and `scorer` import torch besides.
"""
