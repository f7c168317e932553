# SPDX-License-Identifier: BSD-3-Clause
"""kpyc: from kpy source to a linked image, one pass a file.

    source --frontend--> typed tree --lower--> control-flow graph --backend--> LLVM IR, object
           --link--> image

`driver.py` reads as that list does.  `diagnostics.py` has the one shape of every error.
"""
