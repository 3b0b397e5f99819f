"""Is this machine fit for gfmp? What is looked at, and what is said of it."""
