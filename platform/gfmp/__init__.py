"""gfmp: pretrain, compare and trust DNA foundation models with ensemble vocabularies."""

__version__ = "0.1.0"
