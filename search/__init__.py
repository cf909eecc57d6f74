"""Search spaces, samplers and schedulers, run through Ray Tune; no database."""
