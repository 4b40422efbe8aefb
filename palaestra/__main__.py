"""`python -m palaestra`: the command line, as torchrun starts it."""

from palaestra.trainer.cli.main import main

raise SystemExit(main())
