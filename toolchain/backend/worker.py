# SPDX-License-Identifier: BSD-3-Clause
"""LLVM in processes of its own: IR text to objects, in parallel, and safe from LLVM's exits.

    Pool(2).compile([Job("demo", [ir], "pc64", 1)])   ->   [Result("demo", object=b"\\x7fELF...",
                                                             frames={"demo.total": 72})]

LLVM ends the process on assembly it cannot parse, and llvmlite holds one lock around every call;
both ask for processes.  A worker is serve() in a new interpreter; it talks in length-prefixed
pickles over its standard streams, and its standard error is a file that both sides read.

What holds
  W1  Every job gets exactly one Result, in the order of the jobs: an object or a Failure.
  W2  A worker that dies or hangs is replaced, and costs only the job it had.
  W3  Equal jobs give equal bytes, whichever worker runs them.
Tests     tests/toolchain/test_backend_worker.py
"""
from __future__ import annotations

import contextlib
import os
import pickle
import re
import select
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from toolchain.backend.asm import Probe
from toolchain.backend.target import TARGETS

_FRAME = re.compile(r"stack frame size \((\d+)\) exceeds limit \(0\) in function '(.*)'$", re.M)
_RETURN_ADDRESS = 8
_START = "from toolchain.backend.worker import serve; serve()"
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(slots=True)
class Job:
    """`modules` (IR text, or bitcode) become one object.

    `keep`, if not None: a whole program; every definition not in it is made internal.
    `want`: of "object", "asm", "bitcode", "ir" (optimised), what to give back.
    """

    name: str
    modules: list[str | bytes]
    target: str
    opt: int
    keep: frozenset[str] | None = None
    want: tuple[str, ...] = ("object",)
    probes: list[Probe] = field(default_factory=list)
    optimise: bool = True            # False: nothing of IR, only what makes code of it


@dataclass(slots=True)
class Failure:
    """kind: "ir" (the compiler's bug), "link", "asm" (the program's), "crash" or "timeout"."""

    kind: str
    message: str
    probe: Probe | None = None


@dataclass(slots=True)
class Result:
    """`frames`: bytes of stack by function, the return address included.  `warnings`: whatever
    else LLVM said."""

    name: str
    object: bytes = b""
    frames: dict[str, int] = field(default_factory=dict)
    asm: str = ""
    bitcode: bytes = b""
    ir: str = ""
    failure: Failure | None = None
    warnings: str = ""
    seconds: float = 0.0


# ---- in the worker ------------------------------------------------------------------------------

def run_job(job: Job) -> Result:
    """Everything LLVM does for one job, in this process."""
    import llvmlite.binding as llvm  # noqa: PLC0415  (the parent must not load LLVM)
    result = Result(job.name)
    target = TARGETS[job.target]
    machine = llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=job.opt, reloc=target.reloc,
        codemodel=target.code_model)
    modules = []
    for text in job.modules:
        try:
            module = llvm.parse_bitcode(text) if isinstance(text, bytes) \
                else llvm.parse_assembly(text)
            module.verify()
        except RuntimeError as error:
            result.failure = Failure("ir", str(error))
            return result
        modules.append(module)
    whole = modules[0]
    for module in modules[1:]:
        try:
            whole.link_in(module)
        except RuntimeError as error:
            result.failure = Failure("link", str(error))
            return result
    if job.keep is not None:
        _internalise(whole, job.keep)
    if job.optimise:
        tuning = llvm.create_pipeline_tuning_options(speed_level=job.opt)
        tuning.loop_vectorization = tuning.slp_vectorization = job.opt >= 2
        tuning.loop_interleaving = job.opt >= 2
        tuning.loop_unrolling = job.opt >= 1
        builder = llvm.create_pass_builder(machine, tuning)
        builder.getModulePassManager().run(whole, builder)
        if job.keep is not None:
            whole.verify()
    if "ir" in job.want:
        result.ir = str(whole)
    if "bitcode" in job.want:
        result.bitcode = whole.as_bitcode()
    if "asm" in job.want:
        result.asm = machine.emit_assembly(whole)
    if "object" in job.want:
        result.object = machine.emit_object(whole)
    return result


def _internalise(module: Any, keep: frozenset[str]) -> None:
    """Whole program: what nobody outside needs may be inlined, changed and dropped."""
    import llvmlite.binding as llvm  # noqa: PLC0415
    for values in (module.functions, module.global_variables):
        for value in values:
            if value.is_declaration or value.name.startswith("llvm."):
                continue
            if value.name in keep:
                if value.linkage == llvm.Linkage.linkonce_odr:      # LLVM drops what it inlined
                    value.linkage = llvm.Linkage.weak_odr
                continue
            if value.linkage in (llvm.Linkage.external, llvm.Linkage.weak_odr,
                                 llvm.Linkage.linkonce_odr):
                value.linkage = llvm.Linkage.internal


def frame_sizes(log: str) -> tuple[dict[str, int], str]:
    """(function -> bytes of stack, the rest of the log).  LLVM's answers to warn-stack-size=0."""
    frames = {name: int(size) + _RETURN_ADDRESS for size, name in _FRAME.findall(log)}
    rest = [line for line in log.splitlines() if not _FRAME.search(line)]
    return frames, "\n".join(rest)


def serve() -> None:
    """The worker's loop: a job in, a result out, until the input ends."""
    incoming = os.fdopen(os.dup(0), "rb")
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)                        # whatever LLVM prints goes to the log
    import llvmlite.binding as llvm  # noqa: PLC0415
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.initialize_native_asmparser()
    while (job := _receive(incoming)) is not None:
        os.ftruncate(2, 0)
        os.lseek(2, 0, os.SEEK_SET)
        started = time.perf_counter()
        result = run_job(job)
        size = os.fstat(2).st_size
        result.frames, result.warnings = frame_sizes(os.pread(2, size, 0).decode(
            errors="replace"))
        result.seconds = time.perf_counter() - started
        _send(outgoing, result)


def _send(stream: BinaryIO, message: object) -> None:
    data = pickle.dumps(message, protocol=5)
    stream.write(struct.pack("<Q", len(data)))
    stream.write(data)
    stream.flush()


def _receive(stream: BinaryIO) -> Any:
    head = stream.read(8)
    if len(head) < 8:
        return None
    return pickle.loads(stream.read(struct.unpack("<Q", head)[0]))


# ---- in the compiler ----------------------------------------------------------------------------

class _Worker:
    """One process and its log."""

    def __init__(self) -> None:
        self.log = tempfile.TemporaryFile()  # noqa: SIM115  (closed by close())
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self.log, env={**os.environ, "PYTHONPATH": path})

    def run(self, job: Job, timeout: float) -> Result | Failure:
        """The result; a Failure means that the process is gone."""
        try:
            _send(self.process.stdin, job)
        except BrokenPipeError:
            return self._died()
        ready, _, _ = select.select([self.process.stdout], [], [], timeout)
        if not ready:
            self.close()
            return Failure("timeout", f"LLVM took longer than {timeout:g} s")
        try:
            result = _receive(self.process.stdout)
        except (EOFError, pickle.UnpicklingError):
            result = None
        return self._died() if result is None else result

    def _died(self) -> Failure:
        status = self.process.wait()
        self.log.seek(0)
        text = self.log.read().decode(errors="replace").strip()
        self.close()
        return Failure("crash", text or f"LLVM ended with status {status}")

    def close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()


class Pool:
    """Up to `size` workers, started when first needed.  Use as a context manager, or close()."""

    def __init__(self, size: int | None = None, timeout: float = 600.0) -> None:
        cpus = os.cpu_count() or 1
        self.size = max(1, min(size or cpus, cpus))
        self.timeout = timeout
        self.idle: list[_Worker] = []
        self.lock = threading.Lock()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self.lock:
            for worker in self.idle:
                worker.close()
            self.idle.clear()

    def compile(self, jobs: Iterable[Job], progress: Callable[[Result], None] | None = None,
                ) -> list[Result]:
        """Run every job; `progress` is called with each result as it comes, from any thread."""
        def work(job: Job) -> Result:
            result = self._run(job)
            if progress is not None:
                progress(result)
            return result

        todo = list(jobs)
        with ThreadPoolExecutor(self.size) as threads:
            longest_first = sorted(range(len(todo)), key=lambda n: -sum(map(len, todo[n].modules)))
            futures = {n: threads.submit(work, todo[n]) for n in longest_first}
            return [futures[n].result() for n in range(len(todo))]

    def _run(self, job: Job) -> Result:
        answer = self._once(job)
        if isinstance(answer, Result):
            return answer
        if answer.kind == "crash":
            for probe in job.probes:
                found = self._once(Job(job.name, [probe.ir], job.target, 0))
                message = found.message if isinstance(found, Failure) else \
                    found.failure.message if found.failure is not None else ""
                if message:
                    answer = Failure("asm", _first_error(message), probe)
                    break
        return Result(job.name, failure=answer)

    def _once(self, job: Job) -> Result | Failure:
        """Run a job on an idle or a new worker, and keep the worker if it lives."""
        with self.lock:
            worker = self.idle.pop() if self.idle else None
        worker = worker or _Worker()
        answer = worker.run(job, self.timeout)
        if isinstance(answer, Result):
            with self.lock:
                self.idle.append(worker)
        return answer


def _first_error(log: str) -> str:
    """LLVM's message without its positions in text the user never saw."""
    match = re.search(r"error: (.*)", log)
    return match.group(1) if match else log.splitlines()[0]
