"""Everything the database is asked and told."""
