"""Pictures and timelapses as files, tensors and metadata. Any thread; `tensors` needs the worker thread."""
