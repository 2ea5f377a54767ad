"""Planning for the GPUs at hand: the recipe and the memory."""
