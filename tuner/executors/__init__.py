"""Places where attempts are carried out."""
