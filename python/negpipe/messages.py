"""Messages of the package: lines of the logger "negpipe"."""

import logging
import sys

log = logging.getLogger("negpipe")


def tell(message, *arguments):
    """Logs a line at level INFO. Prints it to standard error if logging is not set up, because that would hide INFO.

    To turn these lines off: logging.getLogger("negpipe").setLevel(logging.WARNING).
    """
    if log.hasHandlers():
        log.info(message, *arguments)
    elif not log.disabled and log.level <= logging.INFO and sys.stderr is not None:
        print(message % arguments, file=sys.stderr, flush=True)
