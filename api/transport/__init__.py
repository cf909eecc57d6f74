"""What the client sends its requests through: this process, a second try after a break, streams of events."""
