"""The network one takes away: written, read, described, judged and asked."""
