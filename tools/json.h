/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON values to stdout, piece by piece; @key is NULL in a list.
 */
#ifndef VMSHM_TOOL_JSON_H
#define VMSHM_TOOL_JSON_H

#include <stdbool.h>
#include <stdint.h>

void json_begin(const char *key, char bracket);
void json_end(char bracket);
void json_string(const char *key, const char *value);
void json_number(const char *key, uint64_t value);
void json_signed(const char *key, int64_t value);
void json_bool(const char *key, bool value);
void json_null(const char *key);

#endif /* VMSHM_TOOL_JSON_H */
