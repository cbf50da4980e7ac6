"""The processes that carry out attempts: their fork server, their life, their logs."""
