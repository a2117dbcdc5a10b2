"""What every process asks of a request before anything of ours sees it, and puts on every answer."""
