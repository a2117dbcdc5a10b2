"""Everything is killed and the tables flap while events come in; then what was acknowledged is looked for."""
