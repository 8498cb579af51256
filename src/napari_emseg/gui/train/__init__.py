"""Training a model from the viewer: what from, how long, how it goes."""
