"""Files that travel with an exported model and read it without gfmp; nothing here imports gfmp."""
