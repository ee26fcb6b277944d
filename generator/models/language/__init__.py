"""Language of prompts: other languages, typing mistakes, and words to suggest."""
