"""What went wrong, in a sentence for the user, unless it is a defect of the program."""

OUT_OF_MEMORY = "there is too little memory for an image of this size; denoise it in parts"

MENDED_BY_THE_USER = (ValueError, TypeError, OSError, ImportError, MemoryError)


def sentence_for(error: Exception) -> str | None:
    """What to tell the user; None for what nobody but the program is to blame for.

    Examples
    --------
    >>> sentence_for(ValueError("the image is empty"))
    'the image is empty'
    >>> sentence_for(MemoryError()) == sentence_for(RuntimeError("not enough memory"))
    True
    >>> sentence_for(KeyError("conv"))
    """
    if isinstance(error, RuntimeError):  # torch has no class of its own for this on the CPU
        return OUT_OF_MEMORY if "memory" in str(error) else None
    if isinstance(error, MENDED_BY_THE_USER):
        return " ".join((str(error) or OUT_OF_MEMORY).split())
    return None
