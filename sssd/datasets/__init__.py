"""Making data sets: the toy one, splits, other cameras, the published ones."""
