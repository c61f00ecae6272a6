"""The data plane: one object that every door calls to have a table answered."""
