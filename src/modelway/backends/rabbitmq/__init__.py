"""RabbitMQ: it spreads over workers which jobs may be looked at; the store decides on each."""
