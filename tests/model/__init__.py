"""The real daemon against a simple model of what a cache may answer.

`python -m tests.model --steps 5000 --seed 1` looks for new divergences; the suite walks the same
few hundred steps each time.
"""
