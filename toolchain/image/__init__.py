# SPDX-License-Identifier: BSD-3-Clause
"""Images and the machines that run them: QEMU's command line, its exit status, disks.

Public: qemu.Options, qemu.command, run.main, accel.choose, iso.make_iso, command.main; the
package hammer2.
"""
