"""Where the files are that attempts leave: one store, which api, scheduler and workers share."""
