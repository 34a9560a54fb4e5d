"""Its place makes `import tiny` and `import parity.checkpoint` work; torch files are made by what attacks use."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "attacks"))
