"""Networks of one's own, named by import path: what a constructor tells, and what is made of it."""
