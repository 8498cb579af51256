"""Step 5, Proofread: an editor in the viewer, its layer, keys, panels and surfaces."""
