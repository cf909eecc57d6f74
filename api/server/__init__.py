"""The service of one home: its HTTP server, its worker, and the file that tells commands where it is."""
