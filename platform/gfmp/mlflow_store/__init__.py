"""The adapter that makes MLflow equal the ledger; the only room that knows MLflow."""
