"""The one exception that speaks to the user."""


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one plain sentence (or two) that says what is wrong, with the
    numbers, and what to try next. The command line prints it and exits with
    code 2, the GUI shows it as one notification; neither shows a traceback.
    """
