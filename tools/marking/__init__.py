"""Assign, collect, mark and hand back: nbgrader, with what it lacks. See exercises/README.md."""
