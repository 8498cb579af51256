"""Step 4, Evaluate: scores, curves and errors of a segmentation."""
