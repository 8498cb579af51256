"""The library of models as the docks show it."""
