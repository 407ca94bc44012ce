"""Reading: files or Python iterables become queries, candidates and documents, checked one by one.

Every reader streams in constant memory and either yields right rows or raises InputError naming file, line
and remedy. Knows nothing of stores, jobs or scorers; duplicates and unknown ids are the store's to find.
"""

from producer.readers.candidates import read_candidates
from producer.readers.digests import RowsDigest, content_digest
from producer.readers.documents import read_documents
from producer.readers.lines import MAX_LINE_BYTES, FilePath, is_path, source_name
from producer.readers.queries import read_queries

__all__ = [
    "MAX_LINE_BYTES",
    "FilePath",
    "RowsDigest",
    "content_digest",
    "is_path",
    "read_candidates",
    "read_documents",
    "read_queries",
    "source_name",
]
