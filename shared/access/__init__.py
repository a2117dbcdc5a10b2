"""Who may do what: principals, their roles, and the keys by which they are known."""
