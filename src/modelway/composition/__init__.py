"""From settings to a running system: the one layer that names concrete runtimes and compilers.

Nothing heavy is imported before it is needed, so a command that needs little starts quickly.
"""
