"""The command line: a verb a file, put together in `main`."""
