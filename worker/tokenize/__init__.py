"""Turns texts into token ids, and finds the tokens that begin a sentence or a clause.

Knows tokenizers and offsets; knows no batch, no length limit and no model.
"""
