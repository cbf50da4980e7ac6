"""`tuner serve`: the processes of a server, its address, and what is wrong with it."""
