"""Financial Modeling Prep, played: plans and their limits, the row caps, and errors in all the forms they come in.

What the notes on FMP tell is played as it is told; each module says in its docstring what was chosen where they are
silent.
"""
