"""Tables as answers read them: hot and stored rows as one, pages, and what brings newer rows."""
