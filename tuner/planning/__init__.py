"""From a spec to a plan: all that can be known of a job before anything is built."""
