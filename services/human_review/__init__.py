"""Puts doubtful predictions before reviewers and makes their judgements into corrections."""
