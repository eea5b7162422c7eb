"""What normal features are, given where they are and what surrounds them (paper section 3.2)."""
