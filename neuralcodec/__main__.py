"""`python -m neuralcodec` is the `neuralcodec` command."""

from neuralcodec.cli import main

if __name__ == "__main__":
    main()
