"""Its place makes `import parity.checkpoint` work; torch files are put together by what attacks are made with."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "attacks"))
