"""Verbs that join the pure core to the adapters; each is one transaction."""
