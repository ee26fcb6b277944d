"""Pictures and films as files, tensors and metadata. Any thread, except `tensors`, which needs the worker thread."""
