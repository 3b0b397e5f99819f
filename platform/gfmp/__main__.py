"""`python -m gfmp`: the command `gfmp`."""

from gfmp.cli.main import main

if __name__ == "__main__":
    main()
