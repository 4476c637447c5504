"""`python -m surefoot` is the command line."""

from .cli import main

main()
