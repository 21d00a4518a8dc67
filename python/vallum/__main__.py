"""`python -m vallum`: the same as the command `vallum`."""

from vallum.cli import main

if __name__ == "__main__":
    main()
