"""A fitted model: what a fit makes, what a file holds, what a user calls."""
