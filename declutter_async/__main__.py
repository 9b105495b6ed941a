"""`python -m declutter_async` is the command line, as `declutter-async` is."""

from declutter_async.cli import main

if __name__ == "__main__":
    main()
