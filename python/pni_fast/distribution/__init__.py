"""What normal features are, given where they are, what surrounds them and which image is like theirs."""
