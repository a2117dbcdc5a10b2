"""The methods of training, a file each, read from top to bottom."""
