"""What a sweep says: statistics, tables, figures, one page."""
