"""Engines, the loop, checkpoints and held-out evaluation; needs neither Ray nor MLflow."""
