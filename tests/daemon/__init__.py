"""Scenarios with the real daemon and its worker processes.

These run on uvloop whatever reactor the tests themselves have, so the suite goes through them once.
"""
