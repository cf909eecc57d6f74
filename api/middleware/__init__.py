"""What every request passes before its route: a count, a look at its host, its size and its key."""
