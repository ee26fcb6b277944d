"""CUDA's libraries without a GPU, to run torch's own CUDA code in the tests.

torch's CUDA build runs unchanged on libraries of the same names (`runtime.cpp`, `driver.c`, and generated ones for
cuBLAS, cuDNN and cuFFT). Its allocator, its captures, its checks of types, devices and shapes, and the launches of all
kernels are those of a GPU; only the kernels compute nothing, so all tensors on it hold zeros.

`python -m tests.cuda_stub COMMAND` runs any command that way.
"""
