/* tags.h - what the bytes of a message say: pack.c writes them, unpack.c reads them.
 *
 * Numbers are in the machine's own form: a message never leaves the process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef GL_TAGS_H
#define GL_TAGS_H

#include "message.h"

#pragma GCC visibility push(hidden)

enum {
  T_NIL,
  T_FALSE,
  T_TRUE,
  T_NULL,        /* gos.null */
  T_INT8,        /* 1 byte */
  T_INT,         /* lua_Integer */
  T_FLOAT,       /* lua_Number */
  T_SHORT,       /* 1 byte of length, bytes */
  T_STRING,      /* 4 bytes of length, bytes */
  T_LIGHT,       /* a pointer */
  T_TABLE,       /* 2 x 4 bytes: values in the list, pairs; the values; the pairs */
  T_AGAIN,       /* 4 bytes: the number of a table, function or userdata that came before */
  T_FUNCTION,    /* 4 bytes: a reference to its code; 1 byte: upvalues; those, each one of: */
  T_UPVALUE,     /* 4 bytes: the number of a function, and an upvalue of it: the same one */
  T_GLOBALS,     /* the state's table of globals */
  T_MODULE,      /* T_STRING without its tag: what require gives for it; 1 byte: names; those (T_SHORT or T_STRING), by
                    which it is found in that, one after the other */
  T_C_FUNCTION,  /* the same */
  T_CHANNEL,     /* 4 bytes: a reference; T_SHORT or T_STRING: its name */
  T_NIL_CHANNEL, /* 1 byte: what it can do */
  T_SHARED       /* 4 bytes: a reference */
};
enum { UPVALUE_FN_MAX = 0xFFFFFF };

struct gl_code {
  size_t size, room;
  char bytes[];
};

void gl_ref_free(struct gl_ref *r);
/* A value that is in a slot of the value table becomes a message, and stays in its slot too. */
bool gl_repack(lua_State *L, struct gl *S, gl_value *v, char why[GL_WHY]);
void gl_drop_message(gl_value v); /* if it is one */

#pragma GCC visibility pop
#endif
