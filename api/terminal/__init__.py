"""What commands show on a terminal: tables, cards, charts, live progress."""
