"""Data to start with: a made-up stack, and public ones."""
