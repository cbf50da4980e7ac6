"""Many trainings as one program, each in its own lane and a full training all the same."""
