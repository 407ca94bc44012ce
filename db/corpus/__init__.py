"""Texts, and the collections and query sets that hold them under a name. Knows no job and no score.

texts        each text stored once, under its digest
collections  named sets: collections and query sets, found, listed and removed
sync         a named set made equal to what was read
sentences    where sentences and clauses end
"""
