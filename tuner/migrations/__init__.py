"""The database's history, one file per step, applied by `tuner.schema.upgrade`."""
