"""Groups a cycle's failures that are alike, names the groups, and knows them again in the next cycle."""
