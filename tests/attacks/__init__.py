"""What attackers try, run against a real installation: `python -m tests.attacks`. A file for each kind."""
