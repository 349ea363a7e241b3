"""``python -m augmentor`` is ``augmentor``."""

from augmentor.cli import main

main()
