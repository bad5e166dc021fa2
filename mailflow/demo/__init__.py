"""The demonstration: real servers on loopback, the real daemon, about a dozen mails."""
