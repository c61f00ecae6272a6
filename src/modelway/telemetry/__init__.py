"""What a running service says of itself."""
