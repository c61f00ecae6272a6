"""Jobs: predictions that are asked for now and answered later, exactly once."""
