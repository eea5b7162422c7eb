"""From features and their distribution to anomaly maps (paper section 3.1)."""
