"""Sources to documents to passages. Knows no model, no index and no web."""
