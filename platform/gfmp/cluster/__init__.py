"""Ray, and only here: sessions, corpus ingest, the feed's transport, training, submission."""
