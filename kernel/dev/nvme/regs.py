# SPDX-License-Identifier: BSD-3-Clause
"""NVMe registers, commands and data structures.

Source    NVM Express Base Specification 1.4; the section is named at each part
"""
from typing import Final

from kpy import (
    RO,
    RW,
    Array,
    Bit,
    Bits,
    bits,
    regs,
    sizeof,
    static_assert,
    struct,
    u8,
    u16,
    u32,
    u64,
)

# --- 3.1 "Register Definition" -------------------------------------------------------------

DOORBELLS: Final = 1024
DOORBELL_BASE: Final = 0x1000


@bits(u64)
class Cap:
    """3.1.1 "Controller Capabilities"."""
    MQES: Bits[15, 0]         # Maximum Queue Entries Supported, less one
    CQR: Bit[16]
    TO: Bits[31, 24]          # Timeout, in 500 ms
    DSTRD: Bits[35, 32]       # Doorbell Stride: 4 << DSTRD bytes
    CSS: Bits[44, 37]         # Command Sets Supported
    MPSMIN: Bits[51, 48]      # Memory Page Size Minimum: 4096 << MPSMIN
    MPSMAX: Bits[55, 52]


CSS_NVM: Final = 1            # bit 0 of CAP.CSS: the NVM command set


@bits(u32)
class Cc:
    """3.1.5 "Controller Configuration"."""
    EN: Bit[0]
    CSS: Bits[6, 4]
    MPS: Bits[10, 7]
    AMS: Bits[13, 11]
    SHN: Bits[15, 14]         # Shutdown Notification
    IOSQES: Bits[19, 16]      # size of an entry, as a logarithm
    IOCQES: Bits[23, 20]


SHN_NORMAL: Final = 1


@bits(u32)
class Csts:
    """3.1.6 "Controller Status"."""
    RDY: Bit[0, bool]
    CFS: Bit[1, bool]         # Controller Fatal Status
    SHST: Bits[3, 2]          # Shutdown Status


SHST_COMPLETE: Final = 2
TO_UNIT_MS: Final = 500
SHUTDOWN_MS: Final = 5000     # 7.6.2 leaves the time to RTD3 Entry Latency, which few report


@bits(u32)
class Aqa:
    """3.1.8 "Admin Queue Attributes"; both less one."""
    ASQS: Bits[11, 0]
    ACQS: Bits[27, 16]


@regs(spec="NVMe 1.4, section 3.1")
class Regs:
    CAP_LOW: RO[u32, 0x00]    # 3.1.1 Controller Capabilities, in halves: 8 bytes may be torn
    CAP_HIGH: RO[u32, 0x04]
    VS: RO[u32, 0x08]         # 3.1.2 Version
    CC: RW[Cc, 0x14]          # 3.1.5 Controller Configuration
    CSTS: RO[Csts, 0x1C]      # 3.1.6 Controller Status
    AQA: RW[Aqa, 0x24]        # 3.1.8 Admin Queue Attributes
    ASQ: RW[u64, 0x28]        # 3.1.9 Admin Submission Queue Base Address
    ACQ: RW[u64, 0x30]        # 3.1.10 Admin Completion Queue Base Address
    DOORBELL: RW[u32, DOORBELL_BASE, DOORBELLS, 4]    # 3.1.24, 3.1.25 SQyTDBL, CQyHDBL


GONE: Final[u32] = 0xFFFF_FFFF       # what registers read as when the controller is not there

# --- 4.2 "Submission Queue Entry", 4.6 "Completion Queue Entry" ----------------------------


@struct(size=64)
class Command:
    """4.2, figure 105.  Of two dwords that are one number, one field."""
    cdw0: u32                 # OPC 7:0, CID 31:16
    nsid: u32
    reserved: u64
    mptr: u64
    prp1: u64
    prp2: u64
    cdw10: u32
    cdw11: u32
    cdw12: u32
    cdw13: u32
    cdw14: u32
    cdw15: u32


CID_SHIFT: Final = 16
COMMAND_BYTES: Final = 64
IOSQES: Final = 6
IOCQES: Final = 4


@struct(size=16)
class Completion:
    """4.6, figure 121."""
    result: u32               # DW0, of the command's own meaning
    reserved: u32
    state: u64                # DW2 and DW3, to be read at once


COMPLETION_BYTES: Final = 16


@bits(u64)
class CqeState:
    """4.6, DW2 and DW3."""
    SQHD: Bits[15, 0]
    SQID: Bits[31, 16]
    CID: Bits[47, 32]
    P: Bit[48]                # Phase Tag
    STATUS: Bits[63, 49]


@bits(u16)
class Status:
    """4.6.1 "Status Field Definition", without the phase tag."""
    SC: Bits[7, 0]            # Status Code
    SCT: Bits[10, 8]          # Status Code Type
    CRD: Bits[12, 11]
    M: Bit[13]
    DNR: Bit[14, bool]        # Do Not Retry


# --- 4.6.1 "Status Field Definition" ------------------------------------------------------

GENERIC: Final = 0               # 4.6.1.1 "Status Code Type (SCT)"
COMMAND_SPECIFIC: Final = 1
MEDIA: Final = 2
PATH: Final = 3

# 4.6.1.2.1 Generic Command Status
INVALID_OPCODE: Final = 0x01
INVALID_FIELD: Final = 0x02
COMMAND_ID_CONFLICT: Final = 0x03
DATA_TRANSFER_ERROR: Final = 0x04
ABORTED_POWER_LOSS: Final = 0x05
INTERNAL_ERROR: Final = 0x06
ABORT_REQUESTED: Final = 0x07
ABORTED_SQ_DELETION: Final = 0x08
INVALID_NAMESPACE: Final = 0x0B
SANITIZE_IN_PROGRESS: Final = 0x1D
NAMESPACE_WRITE_PROTECTED: Final = 0x20
COMMAND_INTERRUPTED: Final = 0x21
LBA_OUT_OF_RANGE: Final = 0x80
CAPACITY_EXCEEDED: Final = 0x81
NAMESPACE_NOT_READY: Final = 0x82
RESERVATION_CONFLICT: Final = 0x83
FORMAT_IN_PROGRESS: Final = 0x84

# 4.6.1.2.2 Command Specific Status of the NVM command set
CONFLICTING_ATTRIBUTES: Final = 0x80
INVALID_PROTECTION: Final = 0x81
WRITE_TO_READ_ONLY: Final = 0x82

# 4.6.1.2.3 Media and Data Integrity Errors
WRITE_FAULT: Final = 0x80
UNRECOVERED_READ: Final = 0x81
GUARD_CHECK: Final = 0x82
APPLICATION_TAG_CHECK: Final = 0x83
REFERENCE_TAG_CHECK: Final = 0x84
COMPARE_FAILURE: Final = 0x85
ACCESS_DENIED: Final = 0x86
DEALLOCATED: Final = 0x87

# --- 5 "Admin Command Set" -----------------------------------------------------------------

DELETE_IO_SQ: Final[u32] = 0x00      # 5.6
CREATE_IO_SQ: Final[u32] = 0x01      # 5.4
DELETE_IO_CQ: Final[u32] = 0x04      # 5.5
CREATE_IO_CQ: Final[u32] = 0x05      # 5.3
IDENTIFY: Final[u32] = 0x06          # 5.15
ABORT: Final[u32] = 0x08             # 5.1
SET_FEATURES: Final[u32] = 0x09      # 5.21

QSIZE_SHIFT: Final = 16              # 5.3, 5.4: CDW10, QID 15:0, QSIZE 31:16, less one
QUEUE_PC: Final[u32] = 1             # CDW11: Physically Contiguous
QUEUE_IEN: Final[u32] = 2            # of a completion queue: Interrupts Enabled
IV_SHIFT: Final = 16                 # of a completion queue: Interrupt Vector
CQID_SHIFT: Final = 16               # of a submission queue: where its completions go
ABORT_CID_SHIFT: Final = 16          # 5.1: CDW10, SQID 15:0, CID 31:16
ABORT_NOT_DONE: Final[u32] = 1       # 5.1: DW0 bit 0 of the completion
FEATURE_QUEUES: Final[u32] = 0x07    # 5.21.1.7 "Number of Queues", less one, SQ 15:0, CQ 31:16
QUEUES_SHIFT: Final = 16
QUEUES_MASK: Final[u32] = 0xFFFF

CNS_NAMESPACE: Final[u32] = 0x00     # 5.15.1, figure 244
CNS_CONTROLLER: Final[u32] = 0x01
CNS_ACTIVE: Final[u32] = 0x02        # Active Namespace ID list
IDENTIFY_BYTES: Final = 4096
ACTIVE_IDS: Final = 1024
ALL_NAMESPACES: Final[u32] = 0xFFFF_FFFF


@bits(u16)
class Oncs:
    """5.15.2.2, figure 247: Optional NVM Command Support."""
    DATASET_MANAGEMENT: Bit[2, bool]
    WRITE_ZEROES: Bit[3, bool]


@struct(packed=True, size=4096)
class IdentifyController:
    """5.15.2.2 "Identify Controller data structure", figure 247."""
    vid: u16
    ssvid: u16
    sn: Array[u8, 20]
    mn: Array[u8, 40]
    fr: Array[u8, 8]
    rab: u8
    ieee: Array[u8, 3]
    cmic: u8
    mdts: u8                  # of the smallest memory page size, as a logarithm; 0: no limit
    unused1: Array[u8, 178]
    oacs: u16
    acl: u8                   # Abort Command Limit, less one
    unused2: Array[u8, 253]
    sqes: u8
    cqes: u8
    maxcmd: u16
    nn: u32                   # Number of Namespaces
    oncs: Oncs
    fuses: u16
    fna: u8
    vwc: u8                   # Volatile Write Cache
    unused3: Array[u8, 3570]


@bits(u8)
class Flbas:
    """5.15.2.1, figure 245: Formatted LBA Size."""
    FORMAT: Bits[3, 0]


@bits(u32)
class LbaFormat:
    """5.15.2.1, figure 246 "LBA Format Data Structure"."""
    MS: Bits[15, 0]           # Metadata Size
    LBADS: Bits[23, 16]       # LBA Data Size, as a logarithm


LBA_FORMATS: Final = 16


@struct(packed=True, size=4096)
class IdentifyNamespace:
    """5.15.2.1 "Identify Namespace data structure", figure 245."""
    nsze: u64                 # Namespace Size, in blocks
    ncap: u64
    nuse: u64
    nsfeat: u8
    nlbaf: u8                 # Number of LBA Formats, less one
    flbas: Flbas
    unused1: Array[u8, 101]
    lbaf: Array[LbaFormat, LBA_FORMATS]
    unused2: Array[u8, 3904]


# --- 6 "NVM Command Set" -------------------------------------------------------------------

FLUSH: Final[u32] = 0x00             # 6.8
WRITE: Final[u32] = 0x01             # 6.15
READ: Final[u32] = 0x02              # 6.9
WRITE_ZEROES: Final[u32] = 0x08      # 6.17
DATASET_MANAGEMENT: Final[u32] = 0x09    # 6.7
NVM_FUA: Final[u32] = 1 << 30        # CDW12: Force Unit Access
MAX_NLB: Final = 65536               # CDW12 15:0, less one
DSM_DEALLOCATE: Final[u32] = 1 << 2  # 6.7: CDW11, Attribute - Deallocate
MAX_RANGE: Final = 1 << 31           # blocks in a range, so that it stays a power of two


@struct(size=16)
class DsmRange:
    """6.7, figure 366 "Range Definition"."""
    attributes: u32
    blocks: u32
    start: u64


static_assert(sizeof(Command) == COMMAND_BYTES, "4.2: 64 bytes")
static_assert(sizeof(Completion) == COMPLETION_BYTES, "4.6: 16 bytes")
