"""Measurements against nginx, side by side; from the checkout only."""
