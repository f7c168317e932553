# SPDX-License-Identifier: BSD-3-Clause
"""Objects to link: modules with debug information, as the compiler makes them, and assembly."""

from toolchain.backend.assemble import assemble, compile_ir
from toolchain.link.elf import ObjectFile


def asm(text: str, name: str = "test.o") -> ObjectFile:
    """The object that AT&T-syntax `text` assembles to."""
    return ObjectFile.parse(name, assemble(text))


def module(number: int, modules: int, *, functions: int = 20, structs: int = 40) -> bytes:
    """Module `number` of a synthetic kernel: about 10 source lines a function.

    Each function calls one of the next module, reads a string and writes a global of its own.
    """
    return compile_ir(module_ir(number, modules, functions=functions, structs=structs))


def module_ir(number: int, modules: int, *, functions: int = 20, structs: int = 40) -> str:
    """The LLVM IR of module()."""
    writer = _Writer(number, modules, functions)
    for index in range(functions):
        writer.function(index)
    return writer.finish(structs)


class _Writer:
    def __init__(self, number: int, modules: int, functions: int) -> None:
        self.number, self.next = number, (number + 1) % modules
        self.functions = functions
        self.body: list[str] = []
        self.metadata = [
            "distinct !DICompileUnit(language: DW_LANG_C11, file: !1, producer: \"test\", "
            "isOptimized: false, runtimeVersion: 0, emissionKind: FullDebug, globals: !5, "
            "retainedTypes: !6)",
            f'!DIFile(filename: "kernel/m{number}.py", directory: "/src")',
            '!{i32 7, !"Dwarf Version", i32 4}',
            '!{i32 2, !"Debug Info Version", i32 3}',
            '!DIBasicType(name: "u64", size: 64, encoding: DW_ATE_unsigned)',
            "!{}", "",
            "!DISubroutineType(types: !8)",
            "!{!4, !4}",
        ]  # fmt: skip

    def meta(self, text: str) -> int:
        self.metadata.append(text)
        return len(self.metadata) - 1

    def function(self, index: int) -> None:
        first, name = index * 10 + 2, f"kernel.m{self.number}.f{index}"
        scope = self.meta(
            f'distinct !DISubprogram(name: "f{index}", scope: !1, file: !1, line: {first}, '
            f"type: !7, scopeLine: {first}, spFlags: DISPFlagDefinition, unit: !0)"
        )
        at = [self.meta(f"!DILocation(line: {first + n}, scope: !{scope})") for n in range(10)]
        slots = [
            self.meta(f'!DILocalVariable(name: "{name}", {arg}scope: !{scope}, file: !1, '
                      f"line: {first + n}, type: !4)")
            for n, (name, arg) in enumerate([("n", "arg: 1, "), ("total", ""), ("step", "")])
        ]  # fmt: skip
        lines = [
            f"define dso_local i64 @{name}(i64 %n) #0 !dbg !{scope} {{",
            *(f"  %v{k} = alloca i64, align 8" for k in range(3)),
            f"  store i64 %n, ptr %v0, align 8, !dbg !{at[0]}",
            *(f"    #dbg_declare(ptr %v{k}, !{slots[k]}, !DIExpression(), !{at[k]})"
              for k in range(3)),
        ]  # fmt: skip
        for n in range(1, 7):
            lines += [
                f"  %a{n} = load i64, ptr %v{n % 3}, align 8, !dbg !{at[n]}",
                f"  %b{n} = mul i64 %a{n}, {n + index}, !dbg !{at[n]}",
                f"  %g{n} = load i64, ptr @kernel.m{self.number}.g{index}, align 8, !dbg !{at[n]}",
                f"  %c{n} = add i64 %b{n}, %g{n}, !dbg !{at[n]}",
                f"  store i64 %c{n}, ptr %v{(n + 1) % 3}, align 8, !dbg !{at[n]}",
            ]
        lines += [
            f"  %s = load i8, ptr @s{index}, align 1, !dbg !{at[7]}",
            f"  %z = zext i8 %s to i64, !dbg !{at[7]}",
            f"  store i64 %z, ptr @kernel.m{self.number}.g{index}, align 8, !dbg !{at[8]}",
            f"  %r = call i64 @kernel.m{self.next}.f{index}(i64 %z), !dbg !{at[9]}",
            f"  ret i64 %r, !dbg !{at[9]}",
            "}",
        ]
        self.body += lines
        text = f"module {self.number} string {index}"
        self.body.append(
            f'@s{index} = private dso_local constant [{len(text) + 1} x i8] c"{text}\\00"'
        )
        self.body.append(f"@kernel.m{self.number}.g{index} = dso_local global i64 {index}")
        if self.next != self.number:
            self.body.append(f"declare dso_local i64 @kernel.m{self.next}.f{index}(i64)")

    def finish(self, structs: int) -> str:
        kinds = []
        for k in range(structs):
            members = [
                self.meta(f'!DIDerivedType(tag: DW_TAG_member, name: "field{n}", file: !1, '
                          f"line: {n}, baseType: !4, size: 64, offset: {n * 64})")
                for n in range(8)
            ]  # fmt: skip
            elements = self.meta("!{" + ", ".join(f"!{m}" for m in members) + "}")
            kinds.append(self.meta(
                f'!DICompositeType(tag: DW_TAG_structure_type, name: "S{k}", file: !1, '
                f"line: {k}, size: 512, elements: !{elements})"
            ))  # fmt: skip
        self.metadata[6] = "!{" + ", ".join(f"!{kind}" for kind in kinds) + "}"
        return "\n".join([
            *self.body,
            'attributes #0 = { noredzone nounwind "frame-pointer"="all" }',
            "!llvm.dbg.cu = !{!0}",
            "!llvm.module.flags = !{!2, !3}",
            *(f"!{index} = {text}" for index, text in enumerate(self.metadata)),
        ])  # fmt: skip
