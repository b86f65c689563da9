"""`python -m goldentape`."""

from goldentape.cli import main

if __name__ == "__main__":
    main()
