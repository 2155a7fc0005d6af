/* The monitor takes a P (core/src/sched/sysmon.c: retake) from a thread that enters and leaves the
 * runtime (sched.h: gosi_enter, gosi_leave), which may also give it away itself (gos_entersyscall).
 * The thread's stores of in_rt go through a store buffer, as on x86-64 (and, for this one word and the
 * load behind it, as any machine may behave): only a barrier, or time, empties it. lost is stored by
 * both under the scheduler's lock.
 * Must hold: inside the runtime the thread has a P, or takes the way of one that lost it; the P is used
 * by one at a time.
 * SPDX-License-Identifier: Apache-2.0 */
bool in_rt;                  /* as memory has it */
bool buffered, value;        /* the thread's store buffer: one store of in_rt */
bool lost;
bool locked;                 /* the scheduler's lock, where it is held over several steps */
bool p_mine = true;          /* p->m == m, m->p == p */
bool others;                 /* the P is with another thread */
byte looks = 3;

inline flush() { atomic { if :: buffered -> in_rt = value; buffered = false :: else fi } }
/* A second store waits for the first: there is one place in the buffer. */
inline store(v) { atomic { if :: buffered -> in_rt = value :: else fi; buffered = true; value = v } }

active proctype buffer() {
end:
  do
  :: atomic { buffered -> in_rt = value; buffered = false }
  od
}

active proctype thread() {
  byte n;
  bool give;
  do
  :: n == 3 -> break
  :: else ->
    n++;
    store(true);                                 /* gosi_enter */
    if
    :: lost -> /* gosi_reclaim: a locked operation empties the buffer */
      flush();
      atomic { !locked -> if :: lost -> lost = false; assert(!p_mine); others = false; p_mine = true :: else fi }
    :: else
    fi;
    assert(p_mine && !others);                   /* it works with its P here ... */
    skip;
    assert(p_mine && !others);                   /* ... and still has it */
    if
    :: give = false
    :: give = true;                              /* gos_entersyscall */
      flush();
      atomic { !locked -> lost = true; p_mine = false };
      others = true                              /* gosi_handoff */
    fi;
    store(false)                                 /* gosi_leave: a release, which may stay in the buffer */
  od
}

active proctype monitor() {
  do
  :: looks == 0 -> break
  :: looks-- ;
    if
    :: p_mine ->                                 /* watch_p found it there */
#ifdef BUG_CLEARS_LOST
      bool seen;
      atomic { lost = true; flush(); if :: in_rt || !p_mine -> lost = false :: else -> p_mine = false; others = true fi }
#else
#ifdef BUG_NO_BARRIER
      atomic { if :: p_mine && !lost -> lost = true; if :: in_rt -> lost = false :: else -> p_mine = false; others = true fi :: else fi }
#else
#ifdef BUG_LOOKS_FIRST
      bool inside;
      flush();
      inside = in_rt;
      if
      :: !inside -> atomic { if :: p_mine && !lost -> lost = true; p_mine = false; others = true :: else fi }
      :: else
      fi
#else
      bool mine;
      atomic { mine = p_mine && !lost; if :: mine -> lost = true; locked = true :: else fi };
      if
      :: mine ->
        flush();                                 /* gosi_os_barrier_all */
        atomic {
          if
          :: in_rt -> lost = false
          :: else -> p_mine = false; others = true
          fi;
          locked = false
        }
      :: else
      fi
#endif
#endif
#endif
    :: else
    fi
  od
}
