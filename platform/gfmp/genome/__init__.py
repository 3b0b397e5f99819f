"""From sequence files to a readable corpus: alphabet, readers, splits, pieces, shards, manifest."""
