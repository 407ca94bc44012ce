"""What keeps a store usable. Knows no input and no model.

prune       what no job needs any more is removed
disk_space  whether the store can still be written
"""
