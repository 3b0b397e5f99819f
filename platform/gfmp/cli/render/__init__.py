"""Everything the command line prints, at most 80 columns wide where no path forces more."""
