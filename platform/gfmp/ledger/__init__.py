"""The append-only truth of every run: header, plan, events, status; light enough for a laptop."""
