"""OpenDART, played: companies, their filings and dividends, with the real parameters, statuses and quota.

What `apis/opendart.md` tells is played as it is told; each module says in its docstring what was chosen where the notes
are silent. `truth` tells what a client should end up with.

Measured on two busy cores, the client on one of them: 7,000 requests a second for a table that was asked before, 3,000
for a new one; 2,000 pages of 100 filings, 5,000 times corpCode.xml. The first search over all companies takes a second.
"""
