"""The command line: each command imports the rooms it needs when it runs."""
