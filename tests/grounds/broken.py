"""Cannot be imported."""

raise RuntimeError("as asked")
