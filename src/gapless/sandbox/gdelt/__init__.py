"""GDELT DOC 2.0, played: the list of articles with its cap, its throttle and its errors at HTTP status 200.

What the notes on news tell is played as it is told; each module says in its docstring what was chosen where they are
silent. `world.truth` tells what a client should end up with.
"""
