"""Shapes of segments: surfaces, skeletons, and files of them."""
