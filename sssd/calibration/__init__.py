"""Finding the weight of a loss."""
