"""An example of a package with a network and data of one's own."""
