"""Processes of one machine: the listening socket, the workers behind it, their restart and end."""
