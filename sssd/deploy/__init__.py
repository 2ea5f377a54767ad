"""What leaves the house: a plain detector as a folder of its own, and its detections as labels for an editor."""
