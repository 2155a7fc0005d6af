/* message.h - values on their way from one Lua state to another.
 *
 * A message is flat and belongs to no state: whoever holds it may unpack it in any state, once, or
 * free it on any thread. What cannot be copied is kept beside the bytes, in counted references:
 * channels and other objects that states share, and the code of functions. So no bytes, whatever they
 * are, can name an address or smuggle in bytecode.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef GL_MESSAGE_H
#define GL_MESSAGE_H

#include "lgos.h"

#pragma GCC visibility push(hidden)

/* How a class of ours is shared by states: its userdata begin with the mark and a pointer to what is
   counted; the next byte, if there is one, is copied, and the rest of a new one is zero. */
struct gl_share {
  enum gl_type type;
  size_t size; /* of the userdata; 0: the end of a list */
  void (*retain)(void *p);
  void (*release)(void *p);
  void (*weigh)(lua_State *L, struct gl *S, void *userdata); /* of a new userdata; NULL: what it shares is small */
};

extern const struct gl_share gl_sync_shares[], gl_atomic_shares[], gl_context_shares[], gl_buffer_shares[];

struct gl_ref {
  enum { GL_REF_TAKEN, GL_REF_CODE, GL_REF_CHAN, GL_REF_SHARED } kind;
  uint8_t can, holds;           /* of a channel */
  uint8_t kind_of;              /* of a shared object: the byte after the pointer */
  const struct gl_share *share; /* of a shared object */
  void *p;
};

struct gl_msg {
  struct gl_msg *next; /* in gl.unpacking, or while it is freed */
  struct gl_ref *refs;
  uint32_t nrefs, nvalues;
  bool again;    /* something is in it more than once */
  uint8_t begin; /* where in bytes its first value is */
  int8_t room;   /* msgmem.c's; below 0: malloc's */
  size_t size;
  unsigned char bytes[];
};

/* What an error calls the values: "msg"; "function", "argument 1", ...; "result 1", ... */
enum gl_root { GL_ROOT_MSG, GL_ROOT_CALL, GL_ROOT_RESULT };
enum { GL_WHY = 768 };
/* The n values from idx on; they stay. NULL: one of them cannot be sent, and why says which. Never
   raises an error, runs no Lua code and collects no garbage. */
struct gl_msg *gl_pack(lua_State *L, struct gl *S, int idx, int n, enum gl_root root, char why[GL_WHY]);
struct gl_msg *gl_msg_text(const char *s, size_t n); /* one string; NULL: no memory, or it is too large */
/* Pushes the values and frees the message, also when it raises an error. Their number. */
int gl_unpack(lua_State *L, struct gl *S, struct gl_msg *m);
void gl_msg_free(struct gl_msg *m);
/* An empty message with room for so many bytes, or NULL; and what gives only its own memory back. */
struct gl_msg *gl_msg_alloc(size_t bytes);
void gl_msg_give_back(struct gl_msg *m);
void gl_blocks_end(struct gl *S); /* the state is being closed: the memory it keeps for messages */
/* Lets other states use the channel. false: something in it cannot be sent, and why says what. */
bool gl_share_chan(lua_State *L, struct gl *S, struct gl_chan *ch, char *why, size_t size);
void gl_messages_end(struct gl *S); /* the state is being closed */

#pragma GCC visibility pop
#endif
