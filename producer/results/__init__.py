"""Files of results: `files` decides where rows go, `formats` how they look, `atomic_file` makes a file appear
whole, and `overwrite_guard` protects inputs and the store. Knows rows, no store and no command line.
"""
