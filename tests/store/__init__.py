"""The store: LMDB, files and processes, in real directories."""
