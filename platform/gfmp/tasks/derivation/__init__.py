"""Rules that turn genomes and their annotation into labelled windows."""
