"""GPU kernels in Triton, for operations that torch is slow at."""
