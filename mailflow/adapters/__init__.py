"""One outside system each: IMAP, SMTP, the database, models, templates, files."""
