"""Tables as answers read them: hot rows and stored ones as one, pages, conditions, and what brings newer rows."""
