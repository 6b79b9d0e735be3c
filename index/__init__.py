"""Embeddings, dense and lexical index, snapshots on disk, search. Knows no web."""
