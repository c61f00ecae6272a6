"""Bulk scoring: files answered part by part, so that what is done once is never done again."""
