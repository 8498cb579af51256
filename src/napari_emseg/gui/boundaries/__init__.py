"""Step 2, Boundaries: maps that are predicted, looked at first, and mended."""
