// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The policy of a device: the rules of the device itself, see docs/spec.md.
 */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "macros.h"
#include "parse.h"
#include "policy.h"

/* The value up to the next ','; QEMU writes ",," for one in a value. */
static const char *copy_value(const char *from, char *to, size_t size)
{
	size_t length = 0;

	for (; *from && (*from != ',' || from[1] == ','); from++) {
		from += *from == ',';
		if (length + 1 < size)
			to[length++] = *from;
	}
	to[length] = '\0';
	return from;
}

void policy_parse(const char *argument, struct policy *policy)
{
	char readonly[8] = "";
	const struct {
		const char *key;
		char *value;
		size_t size;
	} keys[] = {
		{ "allow=", policy->allow, sizeof(policy->allow) },
		{ "deny=", policy->deny, sizeof(policy->deny) },
		{ "prefix=", policy->prefix, sizeof(policy->prefix) },
		{ "dir=", policy->directory, sizeof(policy->directory) },
		{ "readonly=", readonly, sizeof(readonly) },
	};
	char ignored[2];
	size_t i;

	memset(policy, 0, sizeof(*policy));
	argument += strcspn(argument, ",");
	while (*argument == ',') {
		argument++;
		for (i = 0; i < ARRAY_SIZE(keys); i++)
			if (strncmp(argument, keys[i].key,
				    strlen(keys[i].key)) == 0)
				break;
		if (i < ARRAY_SIZE(keys))
			argument = copy_value(argument + strlen(keys[i].key),
					      keys[i].value, keys[i].size);
		else
			argument = copy_value(argument, ignored,
					      sizeof(ignored));
	}
	policy->readonly = strcmp(readonly, "on") == 0 ||
			   strcmp(readonly, "true") == 0 ||
			   strcmp(readonly, "yes") == 0;
}

static bool matches_any(const char *patterns, const char *name)
{
	char pattern[NAME_BYTES];

	while (*patterns) {
		size_t length = strcspn(patterns, ":");

		snprintf(pattern, sizeof(pattern), "%.*s", (int)length,
			 patterns);
		if (fnmatch(pattern, name, FNM_NOESCAPE) == 0)
			return true;
		patterns += length + (patterns[length] == ':');
	}
	return false;
}

bool policy_allows(const struct policy *policy, const char *name)
{
	size_t length = strlen(policy->prefix);
	char guest_name[NAME_BYTES];

	if (strncmp(name + 1, policy->prefix, length) != 0 ||
	    !name[1 + length])
		return false;
	snprintf(guest_name, sizeof(guest_name), "/%s", name + 1 + length);
	return (!*policy->allow || matches_any(policy->allow, guest_name)) &&
	       (!*policy->deny || !matches_any(policy->deny, guest_name));
}
