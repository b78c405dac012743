"""``floto scheduler``, killed by SIGKILL right before or after one of its commits.

python -m tests.mortal_scheduler NUMBER before|after
"""

from __future__ import annotations

import sys

from floto.runtime.cli import main
from tests.mortal import kill_at

if __name__ == "__main__":
    _, number, when = sys.argv
    kill_at(int(number), when)
    sys.argv[1:] = ["scheduler"]
    main()
