"""What operators do and see, as library calls."""
