"""`python -m egsde train`, the same as `egsde train`."""

from egsde.programs.start import main

if __name__ == "__main__":
    main()
