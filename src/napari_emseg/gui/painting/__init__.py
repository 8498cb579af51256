"""Paint to learn from: tools and keys, the layer, and sections on disk."""
