// SPDX-License-Identifier: GPL-2.0-or-later
/* usage: peer WORD...: the host's end of a link; link.h explains the words */
#include "talk.h"

int main(int argc, char **argv)
{
	LINK_CHECK(argc > 2);
	talk_serve(link_open(argv + 1, 1));
	return 0;
}
