"""`python -m furet` is the `furet` command."""

from __future__ import annotations

import sys

from furet.cli.main import main

sys.exit(main())
