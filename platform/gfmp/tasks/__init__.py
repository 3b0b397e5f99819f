"""Labelled problems: what a task is, how it is read, split, cut into label subsets and scored."""
