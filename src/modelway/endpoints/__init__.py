"""The names that clients call: which versions answer under them, and in which role."""
