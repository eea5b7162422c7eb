"""Find defects from good images alone: PNI (ICCV 2023) on an exact, multithreaded Rust core."""
