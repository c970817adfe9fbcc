"""The benchmark's own tests: what it measures and says, not how fast anything is."""
