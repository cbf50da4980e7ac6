"""Places where attempts are carried out: this host, or this very process."""
