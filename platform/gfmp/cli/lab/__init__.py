"""What `gfmp init` does: look at a person's files, and write the YAML that fits them."""
