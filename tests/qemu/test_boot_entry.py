# SPDX-License-Identifier: BSD-3-Clause
"""boot/entry.py reaches kmain by every way in, and says why when it cannot."""

from pathlib import Path

import pytest

from tests.harness import Machine, probe
from toolchain.link.layout import KERNEL_BASE

REPORT = """
    movw $0x3f8, %dx
    movq %rdi, %rbx
    movq %rsi, %r12
    movq %rsp, %r13
    leaq kernel.main.kmain(%rip), %r14
    movq %rbx, %rax; callq hex
    movq %r14, %rax; callq hex
    movq %r13, %rax; callq hex
    movq %rbp, %rax; callq hex
    movl (%r12), %eax; callq hex
    jmp 8f
hex:                                  # rax in 16 digits and a newline on COM1
    movq %rax, %rsi
    movl $16, %ecx
1:  rolq $4, %rsi
    movl %esi, %eax
    andl $15, %eax
    addl $'0', %eax
    cmpl $'9', %eax
    jbe 2f
    addl $('a' - '0' - 10), %eax
2:  outb %al, %dx
    loop 1b
    movb $10, %al
    outb %al, %dx
    ret
8:
"""


@pytest.fixture(scope="module")
def reporter(tmp_path_factory) -> Path:
    """An image whose kmain prints its arguments and registers, then ends."""
    path = tmp_path_factory.mktemp("probe") / "report.elf"
    return probe.build(path, asm=probe.kmain(REPORT, probe.exits(0))).output


def report(image: Path, **options) -> list[int]:
    with Machine(image, **options) as vm:
        assert vm.wait_exit() == 0
        return [int(line, 16) for line in vm.console.text.split()]


@pytest.mark.parametrize("machine", ["q35", "pc"])
@pytest.mark.parametrize("cpu", ["qemu64", "max", "qemu64,-nx"])
def test_kmain_runs_in_the_higher_half_with_multiboot_information(reporter, cpu, machine):
    magic, code, stack, frame, flags = report(reporter, cpu=cpu, machine=machine)
    assert magic == 0x2BADB002
    assert code > KERNEL_BASE
    assert stack > KERNEL_BASE
    assert stack % 16 == 8
    assert frame == 0
    assert flags & 1, "the multiboot block says how much memory there is"


def test_kmain_runs_by_the_pvh_note(reporter, tmp_path):
    data = bytearray(reporter.read_bytes())
    at = data.index(0x1BADB002.to_bytes(4, "little"))
    data[at : at + 4] = bytes(4)
    image = tmp_path / "pvh.elf"
    image.write_bytes(data)
    magic, code, _, _, start_magic = report(image)
    assert magic == start_magic == 0x336EC578
    assert code > KERNEL_BASE


@pytest.mark.parametrize("mem", ["64M", "8G"])
def test_boots_with_little_and_much_memory(reporter, mem):
    assert report(reporter, mem=mem)[0] == 0x2BADB002


def test_cpu_without_long_mode_is_told_so(reporter):
    with Machine(reporter, cpu="qemu32") as vm:
        vm.expect("Damselfly needs a 64-bit CPU (long mode); this one has none.  Halted.")


def test_percpu_data_is_reached_through_gs_from_the_start(tmp_path):
    steps = ("movl %gs:status(%rip), %ebx", probe.exits(0).replace("$0, %eax", "%ebx, %eax"))
    data = '.section .percpu, "aw"\n.long 5\nstatus: .long 42\n'
    result = probe.build(tmp_path / "percpu.elf", asm=probe.kmain(*steps) + data)
    assert result.symbols["__percpu_end"] - result.symbols["__percpu_start"] == 8
    with Machine(result.output) as vm:
        assert vm.wait_exit() == 42
