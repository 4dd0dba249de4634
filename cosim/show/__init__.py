# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person looks at: figures, reports, films, the status of a run."""
