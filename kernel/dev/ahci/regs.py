# SPDX-License-Identifier: BSD-3-Clause
"""AHCI registers and structures in memory, frames of SATA, commands of ATA and ATAPI.

Source    Serial ATA AHCI 1.3.1 (AHCI), Serial ATA 3.2 (SATA), ATA/ATAPI Command Set 3 (ACS-3),
          SCSI Block Commands 3 (SBC-3), SCSI Primary Commands 4 (SPC-4); the section is named at
          each part
"""
from typing import Final

from kpy import (
    RO,
    RW,
    RW1C,
    Array,
    Bit,
    Bits,
    be32,
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

PORTS: Final = 32
SLOTS: Final = 32
PORT_BASE: Final = 0x100
PORT_BYTES: Final = 0x80
ABAR: Final = 5                     # AHCI 2.1.11 "Offset 24h: ABAR"

# --- AHCI 3.1 "Generic Host Control" -------------------------------------------------------


@bits(u32)
class Cap:
    """3.1.1 "HBA Capabilities"."""
    NP: Bits[4, 0]            # Number of Ports, less one
    NCS: Bits[12, 8]          # Number of Command Slots, less one
    SCLO: Bit[24, bool]       # Supports Command List Override
    SSS: Bit[27, bool]        # Supports Staggered Spin-up
    SNCQ: Bit[30, bool]       # Supports Native Command Queuing
    S64A: Bit[31, bool]       # Supports 64-bit Addressing


@bits(u32)
class Ghc:
    """3.1.2 "Global HBA Control"."""
    HR: Bit[0]                # HBA Reset; 0 again when it is done
    IE: Bit[1]                # Interrupt Enable
    AE: Bit[31]               # AHCI Enable


@bits(u32)
class Cap2:
    """3.1.10 "HBA Capabilities Extended"."""
    BOH: Bit[0, bool]         # BIOS/OS Handoff


@bits(u32)
class Bohc:
    """3.1.11 "BIOS/OS Handoff Control and Status"."""
    BOS: Bit[0]               # BIOS Owned Semaphore
    OOS: Bit[1]               # OS Owned Semaphore
    BB: Bit[4]                # BIOS Busy


HBA_RESET_MS: Final = 1000          # 10.4.3 "HBA Reset"
BIOS_MS: Final = 25                 # 10.6.3 "OS takes ownership": until BOHC.BB may be looked at
BIOS_BUSY_MS: Final = 2000          # the same: for commands that the BIOS has under way

# --- AHCI 3.3 "Port Registers" -------------------------------------------------------------


@bits(u32)
class PxIs:
    """3.3.5 "Port x Interrupt Status"; PxIE, 3.3.6, has the same bits."""
    DHRS: Bit[0]              # Device to Host Register FIS
    PSS: Bit[1]               # PIO Setup FIS
    DSS: Bit[2]               # DMA Setup FIS
    SDBS: Bit[3]              # Set Device Bits FIS
    UFS: Bit[4]               # Unknown FIS; cleared by PxSERR.DIAG.F
    DPS: Bit[5]               # Descriptor Processed
    PCS: Bit[6]               # Port Connect Change; cleared by PxSERR.DIAG.X
    DMPS: Bit[7]              # Device Mechanical Presence
    PRCS: Bit[22]             # PhyRdy Change; cleared by PxSERR.DIAG.N
    IPMS: Bit[23]             # Incorrect Port Multiplier
    OFS: Bit[24]              # Overflow
    INFS: Bit[26]             # Interface Non-fatal Error
    IFS: Bit[27]              # Interface Fatal Error
    HBDS: Bit[28]             # Host Bus Data Error
    HBFS: Bit[29]             # Host Bus Fatal Error
    TFES: Bit[30]             # Task File Error


# Words of PxIS, to be compared with what was read in one go.
IS_DONE: Final[u32] = 0x0000_000B           # DHRS, PSS, SDBS
IS_CHANGE: Final[u32] = 0x0040_0040         # PCS, PRCS
IS_FATAL: Final[u32] = 0x3900_0000          # OFS, IFS, HBDS, HBFS: 6.2.2, only a reset helps
IS_ERROR: Final[u32] = 0x7900_0000          # and TFES
IS_ATTENTION: Final[u32] = IS_CHANGE | IS_ERROR
IE_ALL: Final[u32] = IS_DONE | IS_ATTENTION
IE_CHANGE: Final[u32] = IS_CHANGE
ALL_EVENTS: Final[u32] = 0xFFFF_FFFF


@bits(u32)
class PxCmd:
    """3.3.7 "Port x Command and Status"."""
    ST: Bit[0]                # Start
    SUD: Bit[1]               # Spin-Up Device
    POD: Bit[2]               # Power On Device
    CLO: Bit[3]               # Command List Override
    FRE: Bit[4]               # FIS Receive Enable
    CCS: Bits[12, 8]          # Current Command Slot
    FR: Bit[14]               # FIS Receive Running
    CR: Bit[15]               # Command List Running
    CPD: Bit[20]              # Cold Presence Detection
    ATAPI: Bit[24]            # Device is ATAPI
    ICC: Bits[31, 28]         # Interface Communication Control


ICC_ACTIVE: Final = 1
ENGINE_MS: Final = 500              # 10.3.2 "Starting/Stopping": CR and FR follow ST and FRE


@bits(u32)
class PxTfd:
    """3.3.8 "Port x Task File Data"."""
    STS: Bits[7, 0]           # Status
    ERR: Bits[15, 8]          # Error


STS_BUSY: Final[u8] = 0x88                  # BSY, DRQ: not to be started
STS_FAILED: Final[u8] = 0x21                # ERR, DF


SIG_ATA: Final[u32] = 0x0000_0101           # 3.3.9 "Port x Signature"; ACS-3 7.1, table 170
SIG_ATAPI: Final[u32] = 0xEB14_0101


@bits(u32)
class PxSsts:
    """3.3.10 "Port x Serial ATA Status"."""
    DET: Bits[3, 0]           # Device Detection
    SPD: Bits[7, 4]           # Current Interface Speed: generation
    IPM: Bits[11, 8]


DET_NONE: Final = 0
DET_PRESENT: Final = 1        # but no communication
DET_UP: Final = 3             # and communication is established
IPM_ACTIVE: Final = 1


@bits(u32)
class PxSctl:
    """3.3.11 "Port x Serial ATA Control"."""
    DET: Bits[3, 0]
    SPD: Bits[7, 4]
    IPM: Bits[11, 8]          # transitions that are not allowed


DET_COMRESET: Final = 1
IPM_NO_SLEEP: Final = 3       # neither Partial nor Slumber
COMRESET_MS: Final = 1        # 10.4.2 "Port Reset": for how long DET is to be 1
LINK_MS: Final = 1000         # until DET is DET_UP, at most; most need 10
NOBODY_MS: Final = 50         # until DET is not DET_NONE, where there is a device
SPIN_UP_MS: Final = 30_000    # until BSY is 0 after power-on: disks that spin take half a minute
SOFT_RESET_MS: Final = 5000   # the same after a software reset
SRST_MS: Final = 1            # 10.4.1 "Software Reset": between the two frames

GONE: Final[u32] = 0xFFFF_FFFF       # what registers read as when the HBA is not there


@regs(spec="AHCI 1.3.1, section 3")
class Regs:
    CAP: RO[Cap, 0x00]        # 3.1.1 HBA Capabilities
    GHC: RW[Ghc, 0x04]        # 3.1.2 Global HBA Control
    IS: RW1C[u32, 0x08]       # 3.1.3 Interrupt Status: a bit for each port
    PI: RW[u32, 0x0C]         # 3.1.4 Ports Implemented; written by the BIOS, lost by a reset
    VS: RO[u32, 0x10]         # 3.1.5 AHCI Version
    CAP2: RO[Cap2, 0x24]      # 3.1.10 HBA Capabilities Extended
    BOHC: RW[Bohc, 0x28]      # 3.1.11 BIOS/OS Handoff Control and Status
    PxCLB: RW[u32, 0x100, PORTS, PORT_BYTES]     # 3.3.1 Command List Base Address
    PxCLBU: RW[u32, 0x104, PORTS, PORT_BYTES]    # 3.3.2, its upper half
    PxFB: RW[u32, 0x108, PORTS, PORT_BYTES]      # 3.3.3 FIS Base Address
    PxFBU: RW[u32, 0x10C, PORTS, PORT_BYTES]     # 3.3.4, its upper half
    PxIS: RW1C[u32, 0x110, PORTS, PORT_BYTES]    # 3.3.5 Interrupt Status: PxIs
    PxIE: RW[u32, 0x114, PORTS, PORT_BYTES]      # 3.3.6 Interrupt Enable: PxIs
    PxCMD: RW[PxCmd, 0x118, PORTS, PORT_BYTES]   # 3.3.7 Command and Status
    PxTFD: RO[PxTfd, 0x120, PORTS, PORT_BYTES]   # 3.3.8 Task File Data
    PxSIG: RO[u32, 0x124, PORTS, PORT_BYTES]     # 3.3.9 Signature
    PxSSTS: RO[PxSsts, 0x128, PORTS, PORT_BYTES]     # 3.3.10 Serial ATA Status
    PxSCTL: RW[PxSctl, 0x12C, PORTS, PORT_BYTES]     # 3.3.11 Serial ATA Control
    PxSERR: RW1C[u32, 0x130, PORTS, PORT_BYTES]      # 3.3.12 Serial ATA Error
    PxSACT: RW[u32, 0x134, PORTS, PORT_BYTES]    # 3.3.13 Serial ATA Active: a bit for each tag
    PxCI: RW[u32, 0x138, PORTS, PORT_BYTES]      # 3.3.14 Command Issue: a bit for each slot


# --- AHCI 4.2 "Port Memory Usage" ----------------------------------------------------------


@bits(u64)
class Header:
    """4.2.2 "Command List Structure": DW0, and DW1, which is PRDBC."""
    CFL: Bits[4, 0]           # Command FIS Length, in dwords
    A: Bit[5]                 # ATAPI
    W: Bit[6]                 # Write: towards the device
    P: Bit[7]                 # Prefetchable
    R: Bit[8]                 # Reset: a part of a software reset
    C: Bit[10]                # Clear Busy upon R_OK
    PRDTL: Bits[31, 16]       # Physical Region Descriptor Table Length, in entries
    PRDBC: Bits[63, 32]       # Physical Region Descriptor Byte Count, transferred


HEADER_ATAPI: Final[u64] = 1 << 5
HEADER_WRITE: Final[u64] = 1 << 6
PRDTL_SHIFT: Final = 16
FIS_DWORDS: Final = 5               # CFL of a FisH2d


@struct(size=32)
class CommandHeader:
    """4.2.2, figure 7."""
    state: u64                # Header
    ctba: u64                 # Command Table Base Address, a multiple of 128
    reserved: Array[u32, 4]


@struct(size=16)
class Prd:
    """4.2.3.3 "Physical Region Descriptor Table"."""
    dba: u64                  # Data Base Address, even
    reserved: u32
    dbc: u32                  # Data Byte Count 21:0, less one, odd


PRD_BYTES: Final = 1 << 22
PRD_ENTRIES: Final = 248            # what fits: a table is a page


@struct(size=20)
class FisH2d:
    """SATA 10.5.5 "Register Host to Device FIS"."""
    head: u32                 # type 7:0, C 15, Command 23:16, Features(7:0) 31:24
    low: u32                  # LBA(23:0) 23:0, Device 31:24
    high: u32                 # LBA(47:24) 23:0, Features(15:8) 31:24
    count: u32                # Count(15:0) 15:0, ICC 23:16, Control 31:24
    auxiliary: u32


FIS_H2D: Final[u32] = 0x27
FIS_COMMAND: Final[u32] = 1 << 15           # the Command register is written, not Control
COMMAND_SHIFT: Final = 16
FEATURES_SHIFT: Final = 24
DEVICE_SHIFT: Final = 24
CONTROL_SHIFT: Final = 24
TAG_SHIFT: Final = 3                        # 13.6.4.1: the tag of a queued command, in Count
LBA_LOW: Final[u64] = 0xFF_FFFF
LBA_BITS: Final = 24
COUNT_LOW: Final[u32] = 0xFF
CONTROL_SRST: Final[u32] = 1 << 2           # ACS-3: Device Control, Software Reset


@struct(size=4096)
class CommandTable:
    """4.2.3 "Command Table"."""
    cfis: FisH2d
    unused1: Array[u8, 44]
    acmd: Array[u8, 16]
    unused2: Array[u8, 48]
    prdt: Array[Prd, PRD_ENTRIES]


TABLE_BYTES: Final = 4096
LIST_BYTES: Final = 1024            # 4.2.2: 32 headers, aligned so
FIS_AREA_BYTES: Final = 256         # 4.2.1 "Received FIS Structure", aligned so

# --- ACS-3 7 "Command descriptions" --------------------------------------------------------

READ_DMA_EXT: Final[u32] = 0x25             # 7.20
READ_LOG_EXT: Final[u32] = 0x2F             # 7.22
WRITE_DMA_EXT: Final[u32] = 0x35            # 7.60
WRITE_DMA_FUA_EXT: Final[u32] = 0x3D        # 7.61
READ_FPDMA_QUEUED: Final[u32] = 0x60        # 7.21
WRITE_FPDMA_QUEUED: Final[u32] = 0x61       # 7.62
DATA_SET_MANAGEMENT: Final[u32] = 0x06      # 7.5
PACKET: Final[u32] = 0xA0                   # 7.17
IDENTIFY_PACKET_DEVICE: Final[u32] = 0xA1   # 7.13
STANDBY_IMMEDIATE: Final[u32] = 0xE0        # "STANDBY IMMEDIATE"
FLUSH_CACHE_EXT: Final[u32] = 0xEA          # 7.10
IDENTIFY_DEVICE: Final[u32] = 0xEC          # 7.12
SET_FEATURES: Final[u32] = 0xEF             # 7.45

DEVICE_LBA: Final[u32] = 1 << 30            # 6.2.3 "DEVICE field", shifted: bit 6
QUEUED_FUA: Final[u32] = 1 << 31            # 7.62: bit 7 of Device
FEATURE_SPIN_UP: Final[u32] = 0x07          # 7.45: PUIS feature set device spin-up
FEATURE_TRIM: Final[u32] = 1                # 7.5: TRIM
PACKET_DMA: Final[u32] = 1                  # 7.17: Features bit 0
LOG_QUEUED_ERROR: Final[u32] = 0x10         # A.14 "NCQ Command Error log"
NEEDS_SPIN_UP: Final[u16] = 0x37C8          # 7.12.7.4: word 2, identification is incomplete
NEEDS_SPIN_UP_TOO: Final[u16] = 0x738C      # the same, identification is complete


@bits(u16)
class SataCapabilities:
    """7.12.7.35: word 76."""
    NCQ: Bit[8, bool]


@bits(u16)
class CommandSets:
    """7.12.7.40: word 83."""
    LBA48: Bit[10, bool]
    FLUSH_EXT: Bit[13, bool]
    VALID: Bits[15, 14]       # 1


@bits(u16)
class MoreCommandSets:
    """7.12.7.40: word 84."""
    GPL: Bit[5, bool]         # General Purpose Logging
    FUA: Bit[6, bool]         # WRITE DMA FUA EXT
    VALID: Bits[15, 14]       # 1


@bits(u16)
class SectorSize:
    """7.12.7.56: word 106."""
    LARGE: Bit[12, bool]      # logical sectors are not of 256 words
    VALID: Bits[15, 14]       # 1


WORD_VALID: Final = 1
QUEUE_DEPTH_MASK: Final[u16] = 0x1F         # word 75, less one
ATAPI_CLASS: Final[u16] = 0xC000            # 7.13.6.2: word 0, 15:14
ATAPI_DEVICE: Final[u16] = 0x8000           # 2: an ATAPI device
ATAPI_TYPE_SHIFT: Final = 8                 # 12:8, the peripheral device type
ATAPI_TYPE_MASK: Final[u16] = 0x1F
ATAPI_CD: Final[u16] = 5
NOT_ATA: Final[u16] = 0x8000                # 7.12.7.2: word 0, bit 15
MAX_SECTORS: Final[u64] = 1 << 48
ROTATES_NOT: Final[u16] = 1                 # 7.12.7.85: word 217
SECTOR: Final = 512


@struct(packed=True, size=512)
class Identify:
    """7.12.7, table 45: the words that we look at.  Texts have their bytes swapped in pairs."""
    config: u16                     # 0
    unused1: u16
    specific: u16                   # 2 Specific configuration
    unused2: Array[u8, 14]
    serial: Array[u8, 20]           # 10-19
    unused3: Array[u8, 6]
    firmware: Array[u8, 8]          # 23-26
    model: Array[u8, 40]            # 27-46
    unused4: Array[u8, 56]
    queue_depth: u16                # 75
    sata: SataCapabilities          # 76
    unused5: Array[u8, 12]
    commands: CommandSets           # 83
    more: MoreCommandSets           # 84
    unused6: Array[u8, 30]
    sectors: u64                    # 100-103
    unused7: u16
    trim_blocks: u16                # 105
    sector_size: SectorSize         # 106
    unused8: Array[u8, 20]
    sector_words: u32               # 117-118
    unused9: Array[u8, 100]
    trim: u16                       # 169: bit 0
    unused10: Array[u8, 94]
    rotation_rate: u16              # 217
    unused11: Array[u8, 76]


TRIM_SUPPORTED: Final[u16] = 1
TRIM_ENTRIES: Final = 64            # 7.5.3.3: ranges in a block of 512 bytes
TRIM_SECTORS: Final[u64] = 0xFFFF   # in a range: LBA 47:0, count 63:48
TRIM_COUNT_SHIFT: Final = 48


@bits(u8)
class Tag:
    """A.14.3, byte 0 of the NCQ Command Error log."""
    TAG: Bits[4, 0]
    NQ: Bit[7, bool]          # the command was not a queued one


@struct(size=512)
class QueuedErrorLog:
    """A.14, table A.56."""
    tag: Tag
    unused1: u8
    status: u8
    error: u8
    unused2: Array[u8, 507]
    checksum: u8              # all bytes together are 0


@bits(u8)
class Status:
    """6.4 "STATUS field"."""
    ERR: Bit[0, bool]
    DRQ: Bit[3, bool]
    DF: Bit[5, bool]          # Device Fault
    BSY: Bit[7, bool]


@bits(u8)
class Error:
    """6.3 "ERROR field"."""
    NM: Bit[1, bool]          # No Media
    ABRT: Bit[2, bool]
    MCR: Bit[3, bool]         # Media Change Request
    IDNF: Bit[4, bool]        # ID Not Found
    MC: Bit[5, bool]          # Media Changed
    UNC: Bit[6, bool]         # Uncorrectable; of a write: WP, Write Protected
    ICRC: Bit[7, bool]        # Interface CRC


@bits(u8)
class PacketError:
    """6.3, of PACKET."""
    SENSE_KEY: Bits[7, 4]


# --- SPC-4 6 and SBC-3 5: commands in packets ----------------------------------------------

PACKET_BYTES: Final = 16
TEST_UNIT_READY: Final[u8] = 0x00           # SPC-4 6.37
REQUEST_SENSE: Final[u8] = 0x03             # SPC-4 6.29
READ_CAPACITY: Final[u8] = 0x25             # SBC-3 5.15
READ_10: Final[u8] = 0x28                   # SBC-3 5.11
SENSE_BYTES: Final = 18                     # SPC-4 4.5.3 "Fixed format sense data"
CAPACITY_BYTES: Final = 8
READ_10_LBA: Final = 2
READ_10_LENGTH: Final = 7

KEY_NOT_READY: Final = 2                    # SPC-4 4.5.6 "Sense key and sense code definitions"
KEY_MEDIUM: Final = 3
KEY_ILLEGAL: Final = 5
KEY_ATTENTION: Final = 6
KEY_ABORTED: Final = 0xB
READY_TRIES: Final = 8                      # looks at a drive that has just seen a reset
READY_MS: Final = 250                       # between two of them


@struct(size=8)
class Capacity:
    """SBC-3 5.15.2, table 68."""
    last: be32                # Returned Logical Block Address
    block_bytes: be32


static_assert(sizeof(CommandTable) == TABLE_BYTES, "4.2.3: a page with its entries")
static_assert(sizeof(CommandHeader) * SLOTS == LIST_BYTES, "4.2.2: 1 KiB")
