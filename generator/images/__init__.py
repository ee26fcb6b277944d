"""Pictures and films as files, tensors and metadata."""
