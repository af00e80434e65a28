"""From findings to a patched tree: edits, the code that they insert, and writing it to disk."""
