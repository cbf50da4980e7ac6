"""The commands of ``tuner``: this file and the signatures import nothing heavy."""
