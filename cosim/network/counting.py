# SPDX-License-Identifier: GPL-2.0-or-later
"""How far NEST can count: what is beyond would be cut off or refused after the network was built.

Numbers of bits are those of NEST 3.10, libnestutil/nest_types.h and nestkernel/nest_time.h.
"""

from __future__ import annotations

# NEST counts time in whole microseconds (tics_per_ms = 1000), in 64 bits of which it keeps an eighth.
TIC_MS = 0.001
LONGEST_TIME_MS = 2**63 // 8 * TIC_MS
MOST_THREADS = 2**9 - 1
MOST_NODES = 2**61 - 1
MOST_DELAY_STEPS = 2**21 - 1


def longest_delay_ms(resolution_ms: float) -> float:
    """A longer delay would come out as another one."""
    return MOST_DELAY_STEPS * resolution_ms
