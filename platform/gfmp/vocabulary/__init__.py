"""Vocabularies: values, tokenizers, the registry, the store, the ensemble and the mask audit."""
