"""How a run runs, not what it computes: devices, threads, memory, files."""
