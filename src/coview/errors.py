"""The errors that a user of coview may meet; `CoviewError` is the base of all of them.

Whoever calls coview from a program catches `CoviewError` for every mistake that can be mended without reading coview's
code: a file that is not there, a recording that does not determine the answer, a setting that is out of range. Each
also is the standard exception that Python programmers expect (`ValueError`, `LookupError`, `FileNotFoundError`, ...).
Whatever else leaves coview is an error in coview, except an `OSError` of the operating system itself.

The text says what is wrong, where, why it matters and what to do.
"""


class CoviewError(Exception):
    """Base of every error that coview raises deliberately; never raised itself.

    Example:
        >>> import coview
        >>> try:
        ...     coview.skeleton("octopus")
        ... except coview.CoviewError as error:
        ...     print(str(error)[:22])
        no skeleton 'octopus'.
    """


class InputError(CoviewError, ValueError):
    """A value, a file's content or a recording that cannot be used as it is."""


class UnknownNameError(CoviewError, LookupError):
    """A name (of a joint, skeleton, camera, recipe, ...) that is not among the known ones, which the text lists."""


class MissingFileError(CoviewError, FileNotFoundError):
    """A file or folder that is needed and not there; the text says which command makes it."""


class NotAFolderError(CoviewError, NotADirectoryError):
    """A file stands where a folder is needed."""


class OccupiedError(CoviewError, FileExistsError):
    """Something is already where a result would be written, and replacing it was not asked for."""


class MissingPackageError(CoviewError, ModuleNotFoundError):
    """An optional package is needed and not installed; the text says how to install it."""


class UnavailableError(CoviewError, OSError):
    """The machine lacks something that is needed: graphics without a window, room on the disk, a writable folder."""


class NotYetError(CoviewError, NotImplementedError):
    """Something that a later version will do; the text says how to get there without."""
