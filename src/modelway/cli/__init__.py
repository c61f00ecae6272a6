"""The command line: a noun, a verb; parse, call one object, render."""
