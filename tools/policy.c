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

/* glibc's prefix for the name of a semaphore, after the '/' */
#define SEM "sem."
#define SEM_LENGTH (sizeof(SEM) - 1)

/* The guest's name of an object, as the device forms it; see docs/spec.md */
struct guest_name {
	char whole[NAME_BYTES];
	/* Without "sem."; or the same */
	char plain[NAME_BYTES];
};

static bool is_semaphore(const char *file)
{
	return strncmp(file, SEM, SEM_LENGTH) == 0 && file[SEM_LENGTH];
}

/* The rest of the name after the prefix, or NULL */
static const char *without(const char *prefix, const char *file)
{
	size_t length = strlen(prefix);

	return strncmp(file, prefix, length) == 0 && file[length] ?
		       file + length :
		       NULL;
}

static bool name_for_guest(const char *prefix, const char *file,
			   struct guest_name *name)
{
	const char *sem = is_semaphore(file) ?
				  without(prefix, file + SEM_LENGTH) : NULL;
	const char *plain = sem ?: without(prefix, file);

	if (!plain || (!sem && is_semaphore(plain)))
		return false;
	snprintf(name->whole, sizeof(name->whole), "/%s%s", sem ? SEM : "",
		 plain);
	snprintf(name->plain, sizeof(name->plain), "/%s", plain);
	return true;
}

/* An allowing pattern is for semaphores only if it begins like their names. */
static bool allows(const char *pattern, const struct guest_name *name)
{
	bool whole = strncmp(pattern, "/" SEM, 1 + SEM_LENGTH) == 0;

	return fnmatch(pattern, whole ? name->whole : name->plain,
		       FNM_NOESCAPE) == 0;
}

static bool denies(const char *pattern, const struct guest_name *name)
{
	return fnmatch(pattern, name->whole, FNM_NOESCAPE) == 0 ||
	       fnmatch(pattern, name->plain, FNM_NOESCAPE) == 0;
}

static bool matches_any(const char *patterns, const struct guest_name *name,
			bool (*matches)(const char *pattern,
					const struct guest_name *name))
{
	char pattern[NAME_BYTES];

	while (*patterns) {
		size_t length = strcspn(patterns, ":");

		snprintf(pattern, sizeof(pattern), "%.*s", (int)length,
			 patterns);
		if (matches(pattern, name))
			return true;
		patterns += length + (patterns[length] == ':');
	}
	return false;
}

bool policy_allows(const struct policy *policy, const char *name)
{
	struct guest_name guest;

	return name_for_guest(policy->prefix, name + 1, &guest) &&
	       (!*policy->allow ||
		matches_any(policy->allow, &guest, allows)) &&
	       (!*policy->deny || !matches_any(policy->deny, &guest, denies));
}
