"""The error that speaks to the person who gave the value."""


class UserError(ValueError):
    """What the user gave cannot be used.

    The message says the value, the rule it breaks and the remedy, in the
    user's units and on one line; the command line prints it as it stands and
    exits with code 2. Every other exception is a fault of the program.
    """
