"""Readers of labelled rows, one module for each kind of source."""
