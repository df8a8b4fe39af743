"""What the package tells its user: lines of the logger "negpipe"."""

import logging
import sys

log = logging.getLogger("negpipe")


def tell(message, *arguments):
    """A line at level INFO; on standard error where nobody has set up logging, for there INFO would not be seen.

    The users of 2018 saw such lines. logging.getLogger("negpipe").setLevel(logging.WARNING) turns them off.
    """
    if log.hasHandlers():
        log.info(message, *arguments)
    elif not log.disabled and log.level <= logging.INFO:
        print(message % arguments, file=sys.stderr, flush=True)
