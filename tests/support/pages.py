"""The README and the pages of docs/, and the code in them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Page -> its blocks of Python, in order.
PAGES = {
    str(path.relative_to(ROOT)): re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
