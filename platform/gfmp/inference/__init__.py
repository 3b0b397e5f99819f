"""Predictions, embeddings, variant effects and motifs: what a trained model is asked."""
