"""Modules that take a place in a fork server, each odd in its way."""
