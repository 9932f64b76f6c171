# SPDX-License-Identifier: GPL-2.0-or-later
"""A processor that accesses the device while a test changes the device.

The firmware of the machine is a loop that writes a word and reads it back. The
accesses of qtest go through QEMU's memory core. The accesses of the loop go
through the page tables of TCG or KVM, as those of a guest do.
"""

import os
import struct
import tempfile

from vmshm import Skip, machine, until

SIZE = 1 << 16          # size of the firmware, which ends at 4 GiB
CODE = SIZE - 0x100     # start of the code; the reset vector is at the end
BASE = (1 << 32) - SIZE

# Words in RAM through which the test controls the loop
WHERE, VALUE, SEEN, ROUNDS, WRITES = range(0x1000, 0x1014, 4)

REAL = CODE             # 16-bit code, followed by tables and 32-bit code
TABLE, FLAT = CODE + 0x20, CODE + 0x40


def firmware():
    """The machine code of the firmware"""
    rom = bytearray(b"\xf4" * SIZE)

    def put(at, *parts):
        data = b"".join(parts)
        rom[at:at + len(data)] = data

    def word(value):
        return struct.pack("<I", value)

    put(SIZE - 16, b"\xe9", struct.pack(                # jmp REAL
        "<H", REAL - (SIZE - 13) & 0xffff))
    put(REAL, b"\xfa",                                  # cli
        b"\x2e\x66\x0f\x01\x16", struct.pack("<H", TABLE),  # lgdt cs:TABLE
        b"\x0f\x20\xc0",                                # mov eax, cr0
        b"\x0c\x01",                                    # or al, 1
        b"\x0f\x22\xc0",                                # mov cr0, eax
        b"\x66\xea", word(BASE + FLAT), b"\x08\x00")    # jmp 8:FLAT
    put(TABLE, struct.pack("<HI", 23, BASE + TABLE + 8), bytes(2),
        bytes(8),                                       # no segment
        bytes.fromhex("ffff0000009bcf00"),              # 8: code, 4 GiB
        bytes.fromhex("ffff00000093cf00"))              # 16: data, 4 GiB
    put(FLAT, b"\x66\xb8\x10\x00", b"\x8e\xd8",         # mov ds, 16
        # loop:
        b"\x8b\x35", word(WHERE),                       # mov esi, [WHERE]
        b"\x83\x3d", word(WRITES), b"\x00",             # cmp [WRITES], 0
        b"\x74\x07",                                    # je read
        b"\xa1", word(VALUE),                           # mov eax, [VALUE]
        b"\x89\x06",                                    # mov [esi], eax
        # read:
        b"\x8b\x06",                                    # mov eax, [esi]
        b"\xa3", word(SEEN),                            # mov [SEEN], eax
        b"\xff\x05", word(ROUNDS),                      # inc [ROUNDS]
        b"\xeb\xdb")                                    # jmp loop
    return bytes(rom)


def accelerators():
    """(name, arguments) of each accelerator. The arguments are a Skip if the
    accelerator is not available."""
    yield "tcg", {"accel": "tcg"}
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
    except OSError as e:
        yield "kvm", Skip(f"/dev/kvm: {e.strerror}")
    else:
        yield "kvm", {"accel": "kvm"}


def tests_of(*checks):
    """{name: test} of each function with each accelerator. A function takes the
    arguments of an accelerator."""
    def test_of(check, how):
        def test():
            if isinstance(how, Skip):
                raise how
            check(how)
        return test
    return {f"test_{check.__name__}_{name}": test_of(check, how)
            for name, how in accelerators() for check in checks}


class Running:
    """A machine whose processor runs the loop."""

    def __init__(self, how, options, rom=None):
        with tempfile.NamedTemporaryFile(suffix=".bin") as file:
            file.write(rom or firmware())
            file.flush()
            self.vm = machine("-cpu", "qemu64", "-bios", file.name,
                              options=options, **how)

    def __enter__(self):
        self.vm.__enter__()
        self.vm.next64 = 0xf0000000     # the loop is 32-bit code
        return self

    def __exit__(self, *more):
        return self.vm.__exit__(*more)

    def start(self, where):
        self.vm.write(WHERE, 4, where)
        self.vm.qmp("cont")
        self.round()

    def round(self):
        """Returns after a whole round of the loop has begun and ended."""
        before = self.vm.read(ROUNDS, 4)
        until(lambda: (self.vm.read(ROUNDS, 4) - before & 0xffffffff) >= 2,
              "the processor does not run")

    def look(self, where):
        """The word that the processor reads at that address"""
        self.vm.write(WRITES, 4, 0)
        self.vm.write(WHERE, 4, where)
        self.round()
        return self.vm.read(SEEN, 4)

    def store(self, where, value):
        """Makes the processor write a word. Returns the word that the processor
        reads afterwards."""
        # The loop does not use the old address with the new value.
        self.look(where)
        self.vm.write(VALUE, 4, value)
        self.vm.write(WRITES, 4, 1)
        self.round()
        seen = self.vm.read(SEEN, 4)
        self.look(where)
        return seen

    @property
    def alive(self):
        self.round()
        return self.vm.qmp("query-status")["status"] == "running"
