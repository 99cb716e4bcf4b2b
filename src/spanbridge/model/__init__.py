"""Plain frozen records that travel between the stages. No behaviour, no I/O.

They hold trees, never cycles, so the garbage collector need not track them (``gc=False``).
"""
