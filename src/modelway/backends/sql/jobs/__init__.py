"""Jobs on an SQL database: the queue, and what can be read of it."""
