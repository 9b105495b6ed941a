"""Types of the arrays that pictures are worked on with. Pictures are (rows, columns) or (rows, columns, BGR)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
