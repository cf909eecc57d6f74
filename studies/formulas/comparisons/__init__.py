"""F3, F4, F6: methods compared over paired seeds."""
