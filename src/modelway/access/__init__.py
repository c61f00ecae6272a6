"""Who may: keys, what they allow, how often, and who did what."""
