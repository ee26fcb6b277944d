"""Published model files: find, download, check, read without executing anything, convert once.

`catalogue` lists the model sets, `library` opens them, `fetch` downloads them; the other modules are their parts.
Importing this package imports none of them. Opening and conversion run on the thread that loads models.
"""
