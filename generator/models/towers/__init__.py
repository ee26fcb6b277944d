"""Picture towers of perceptors, frozen."""
