"""What to try next and what to stop: everything that speaks Optuna, but for the view."""
