"""`python -m gapless`: the command line, where the script is not on the path."""

from gapless.cli import main

main()
