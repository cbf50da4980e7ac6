"""The tuning service: jobs, trials, attempts, and the scheduler that carries them out."""
