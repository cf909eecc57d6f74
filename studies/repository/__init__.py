"""Every query, a module for each aggregate. Functions take a session and never commit."""
