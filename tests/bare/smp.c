// SPDX-License-Identifier: GPL-2.0-or-later
/* The second CPU: INIT, SIPI, SIPI, then it runs one job after another. */
#include "guest.h"

#define AP_PAGE		0x8000u		/* as in start.S */
#define APIC_ICR_LOW	0xfee00300u
#define APIC_ICR_HIGH	0xfee00310u
#define APIC_PENDING	0x1000u
#define AP_APIC_ID	1u
#define IPI_INIT	0x4500u
#define IPI_STARTUP	(0x4600u | AP_PAGE >> 12)
#define PATIENCE	100000000u	/* turns to wait for the CPU */

extern const u8 trampoline[], trampoline_end[];
void ap_main(void);

static volatile u32 ap_up;
static void (*volatile ap_job)(void);

void ap_main(void)
{
	ap_up = 1;
	for (;;) {
		if (!ap_job)
			continue;
		ap_job();
		ap_job = 0;
	}
}

static void send_ipi(u32 command)
{
	write32(APIC_ICR_HIGH, AP_APIC_ID << 24);
	write32(APIC_ICR_LOW, command);
	while (read32(APIC_ICR_LOW) & APIC_PENDING)
		;
}

int smp_start(void)
{
	u32 turns = PATIENCE;

	for (u32 i = 0; i < (u32)(trampoline_end - trampoline); i++)
		write8(AP_PAGE + i, trampoline[i]);

	send_ipi(IPI_INIT);
	send_ipi(IPI_STARTUP);
	send_ipi(IPI_STARTUP);
	while (!ap_up && --turns)
		;
	return ap_up;
}

void smp_run(void (*job)(void))
{
	ap_job = job;
}

void smp_wait(void)
{
	while (ap_job)
		;
}
