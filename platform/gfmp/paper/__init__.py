"""What the paper says, as data: its tables, the numbers of its text, and how far to trust each."""
