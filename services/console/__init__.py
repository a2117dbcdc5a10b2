"""The pages people look at and review on, and the HTTP by which they start a cycle or undo a promotion."""
