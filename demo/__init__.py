"""`python -m demo`: a private bucket served through s3shield, checked byte for byte.

From the checkout only; it is not installed. The tests use its parts.
"""
