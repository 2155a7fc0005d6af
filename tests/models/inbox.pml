/* A realm's inbox and its owner's sleep (core/src/sched/realm.c: gosi_realm_ready, take_inbox,
 * realm_sleep, wake_owner). One owner, two producers. Stores that are not read-modify-writes go through
 * a store buffer of one place; a fence empties it.
 * Must hold: when nothing can move any more the inbox is empty and everything was run.
 * SPDX-License-Identifier: Apache-2.0 */
#define BUSY 0
#define IDLE 1
#define WAKING 2
byte inbox, ran, idle, wake;
bool buffered;               /* the owner's store of idle */
byte value;

inline flush() { atomic { if :: buffered -> idle = value; buffered = false :: else fi } }
inline store_idle(v) { atomic { if :: buffered -> idle = value :: else fi; buffered = true; value = v } }

active proctype buffer() {
end:
  do
  :: atomic { buffered -> idle = value; buffered = false }
  od
}

active proctype owner() {
  byte n;
  do
  :: /* take_inbox: the look, then the exchange */
    if
    :: inbox > 0 -> atomic { flush(); n = inbox; inbox = 0 }; ran = ran + n
    :: else ->
      store_idle(IDLE);
#ifndef BUG_NO_FENCE
      flush();
#endif
#ifdef BUG_NO_SECOND_LOOK
      if
      :: skip
#else
      if
      :: inbox > 0 -> store_idle(BUSY)
      :: else
#endif
#ifdef BUG_CLEARS_WAKE_FIRST
        wake = 0;
#endif
end_asleep:
        wake > 0;
        flush();
        wake = 0;
        store_idle(BUSY)
      fi
    fi
  od
}

active [2] proctype producer() {
  byte n;
  bool won;
  do
  :: n == 2 -> break
  :: else ->
    n++;
#ifdef BUG_WAKES_FIRST
    if :: idle == IDLE -> atomic { won = idle == IDLE; if :: won -> idle = WAKING :: else fi }; if :: won -> wake = 1 :: else fi :: else fi;
    inbox++
#else
    inbox++;                                     /* the CAS, and the fence behind it */
    if
    :: idle == IDLE ->
      atomic { won = idle == IDLE; if :: won -> idle = WAKING :: else fi };
      if :: won -> wake = 1 :: else fi
    :: else
    fi
#endif
  od
}

active proctype judge() {
  timeout;
  assert(inbox == 0 && ran == 4)
}
