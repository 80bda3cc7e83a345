"""What an operator asks of a receiver: its health, its logs, what a dead one has left."""
