"""`make check-browser`: a site in a bucket, looked at with a real browser. Not part of CI."""
