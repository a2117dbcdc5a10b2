"""Gathers how the model fails, groups failures that are alike, and says when the loop should go round."""
