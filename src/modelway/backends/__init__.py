"""What each port is on a given technology: one technology a file; composition chooses."""
