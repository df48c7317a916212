"""The first lines that a measuring process runs: a script, started by its path.

A new interpreter would take modules from the folder it is started in, and that is the user's own: a
`json.py` lying there would be run, another `mnistbench/` would measure. So nothing is imported here
before the path is the command's, without that folder, and the package is the one that asked.

usage: python launch.py MODULE PACKAGE PARENT [PATH]...
    MODULE   of the package, whose `main` goes on
    PACKAGE  the package's own folder
    PARENT   the number of the process that this one must not outlive; 0 for none
    PATH     an entry of `sys.path`
"""

import sys

_PR_SET_PDEATHSIG = 1


def _begin() -> None:
    _, module, package, parent, *path = sys.argv
    sys.argv[1:] = []
    # Before anything else is imported: the interpreter put this script's own folder first.
    sys.path[:] = path
    _end_with(int(parent))
    import importlib
    from importlib.machinery import ModuleSpec
    from importlib.util import spec_from_file_location

    class ThisPackage:
        """Finds the package where the command has it, whatever else has its name."""

        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> "ModuleSpec | None":
            if name != "mnistbench":
                return None
            file = f"{package}/__init__.py"
            return spec_from_file_location(name, file, submodule_search_locations=[package])

    sys.meta_path.insert(0, ThisPackage)
    importlib.import_module(module).main()


def _end_with(parent: int) -> None:
    """Let the kernel end this process as soon as its parent has ended, whatever it does then.

    A process that imports a framework sees nothing else for seconds. Linux alone can: elsewhere it
    ends when it next listens to the command.
    """
    if not parent or sys.platform != "linux":
        return
    import os
    import signal

    try:
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (ImportError, OSError, AttributeError):
        return
    if os.getppid() != parent:  # it had ended before
        os._exit(1)


if __name__ == "__main__":
    _begin()
