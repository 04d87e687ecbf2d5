"""Part of the build: puts ``op25b.pth`` beside the installed package, where Python reads it as it starts."""

from pathlib import Path

from setuptools.command.build_py import build_py

STARTUP_FILE = Path(__file__).with_name("op25b.pth")


class BuildPy(build_py):
    """setuptools' ``build_py``, which also places the start-up file, in normal and in editable installs."""

    def run(self) -> None:
        super().run()
        target = self.build_lib
        if (
            self.editable_mode
        ):  # takes no modules from build_lib; what goes into site-packages is gathered here
            target = self.get_finalized_command("install").install_purelib
        self.copy_file(str(STARTUP_FILE), target)
