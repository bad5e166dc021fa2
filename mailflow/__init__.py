"""Mailflow turns a support mailbox into a ticket desk that keeps its contract."""

__version__ = "0.1.0"
