"""What goes wrong in a lab, told to the person who started it."""


class LabError(Exception):
    """The lab cannot be built or run; the text says what happened and what to do."""
