"""The first lines that a measuring process runs: a script, started by its path.

A new interpreter would take modules from the folder it is started in, and that is the user's own: a
`json.py` lying there would be run, another `mnistbench/` would measure. So nothing is imported here
before the path is the command's, without that folder, and the package is the one that asked.

usage: python launch.py MODULE PACKAGE [PATH]...
    MODULE   of the package, whose `main` goes on
    PACKAGE  the package's own folder
    PATH     an entry of `sys.path`
"""

import sys


def _begin() -> None:
    _, module, package, *path = sys.argv
    sys.argv[1:] = []
    # Before anything else is imported: the interpreter put this script's own folder first.
    sys.path[:] = path
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


if __name__ == "__main__":
    _begin()
