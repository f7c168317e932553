# SPDX-License-Identifier: BSD-3-Clause
"""`python -m toolchain`: the compiler's command line."""
import sys

from toolchain.driver import main

if __name__ == "__main__":
    sys.exit(main())
