"""Durable files: atomic writes, content hashes, locks, manifests, YAML documents with marks."""
