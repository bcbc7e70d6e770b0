"""What libraries log where they do not raise."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident


@contextmanager
def complaints_of(library: str) -> Iterator[list[logging.LogRecord]]:
    """Collect what a library logs meanwhile in place of raising, and so keep it off the screen.

    Examples
    --------
    >>> with complaints_of("tifffile") as complaints:
    ...     logging.getLogger("tifffile").warning("a page is odd")
    >>> [complaint.getMessage() for complaint in complaints]
    ['a page is odd']
    """
    records: list[logging.LogRecord] = []
    thread = get_ident()

    def collect(record: logging.LogRecord) -> bool:
        if record.thread == thread:  # and not of another file, read at the same time
            records.append(record)
        return False

    def nothing(_: logging.LogRecord) -> bool:
        return False

    # The filter of a logger does not see what the loggers below it have to say; a handler does. And
    # some libraries bring a handler of their own, which prints.
    logger, collector = logging.getLogger(library), logging.Handler()
    printers = list(logger.handlers)
    logger.addFilter(collect)
    collector.addFilter(collect)
    logger.addHandler(collector)
    for printer in printers:
        printer.addFilter(nothing)
    try:
        yield records
    finally:
        for printer in printers:
            printer.removeFilter(nothing)
        logger.removeHandler(collector)
        logger.removeFilter(collect)
