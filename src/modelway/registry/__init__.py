"""What exists: registered models, versions and aliases; who moved which alias, and why."""
