"""How code of others runs as a trial."""
