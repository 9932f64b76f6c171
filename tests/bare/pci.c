// SPDX-License-Identifier: GPL-2.0-or-later
/* PCI configuration space through the ports 0xcf8 and 0xcfc */
#include "guest.h"

#define PORT_ADDRESS	0xcf8
#define PORT_DATA	0xcfc

u32 pci_read(u32 function, u32 offset)
{
	out32(PORT_ADDRESS, 0x80000000 | function << 8 | offset);
	return in32(PORT_DATA);
}

void pci_write(u32 function, u32 offset, u32 value)
{
	out32(PORT_ADDRESS, 0x80000000 | function << 8 | offset);
	out32(PORT_DATA, value);
}

/* Lets the BARs answer, or not. */
void pci_decode(u32 function, int on)
{
	u32 command = pci_read(function, PCI_COMMAND) & 0xffff;

	if (on)
		command |= PCI_COMMAND_MEMORY;
	else
		command &= ~PCI_COMMAND_MEMORY;
	pci_write(function, PCI_COMMAND, command);
}

/* Counts the functions on bus 0 with this id; *function is the last one. */
u32 pci_find(u32 id, u32 *function)
{
	u32 count = 0;

	for (u32 f = 0; f < 256; f++) {
		if (pci_read(f, 0) == id) {
			*function = f;
			count++;
		}
	}
	return count;
}

u32 pci_bar_size(u32 function, u32 bar)
{
	u32 old = pci_read(function, PCI_BAR(bar));
	u32 mask;

	pci_decode(function, 0);
	pci_write(function, PCI_BAR(bar), ~0u);
	mask = pci_read(function, PCI_BAR(bar)) & ~0xfu;
	pci_write(function, PCI_BAR(bar), old);
	pci_decode(function, 1);
	return -mask;
}
