"""Model files that other people made: found, fetched, checked, read without executing anything, converted once.

`catalogue` knows the model sets, `library` opens them, `fetch` gets them; the rest are their parts. Importing this
package imports none of them.
"""
