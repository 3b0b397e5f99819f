"""Every decision of a run, taken before anything runs, without torch or Ray.

`survey` reads what exists; everything else is a pure function of what it found.
"""
