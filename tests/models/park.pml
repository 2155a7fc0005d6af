/* Idle threads and the wakes for them (core/src/sched/proc.c: find, m_sleep, m_for, gosi_wake_p,
 * gosi_global_put, ready_local, steal). Two workers, two Ps, two producers that are foreign threads.
 * A thread beyond the two cannot be made, as at the limit of threads, and there is no monitor.
 * What stands under the scheduler's lock is one step; everything else is a step by itself.
 * Must hold: when nothing can move any more, all that was put has run; a P has one thread.
 * SPDX-License-Identifier: Apache-2.0 */
#define NONE 2
byte nglobal, nspinning, ran, put;
bool idle_p[2] = true;       /* P is in the idle list */
bool idle_m[2], wake[2], spinning[2];
byte p_of[2] = NONE;         /* NONE: the worker has no P */
byte ring[2];
byte user[2];                /* workers that think they have this P */

#ifndef PUTS
#define PUTS 1               /* by each producer; each goroutine readies one more */
#endif
#define IDLE_PS (idle_p[0] || idle_p[1])

/* Under the lock: an idle P, or NONE. */
inline p_take(var) {
  if
  :: idle_p[0] -> idle_p[0] = false; var = 0
  :: !idle_p[0] && idle_p[1] -> idle_p[1] = false; var = 1
  :: else -> var = NONE
  fi
}
inline own(w, q) { p_of[w] = q; user[q]++; assert(user[q] == 1) }

/* m_for: q is in no list. */
inline m_for(q, spin, ok) {
  atomic {
    if
    :: idle_m[0] -> idle_m[0] = false; m = 0
    :: !idle_m[0] && idle_m[1] -> idle_m[1] = false; m = 1
    :: else -> m = NONE
    fi
  }
  if
  :: m != NONE -> atomic { own(m, q); spinning[m] = spin }; wake[m] = true; ok = true
  :: else -> /* no thread to be had */
    atomic {
      if
#ifndef BUG_P_IDLE_BESIDE_SLEEPER
      :: idle_m[0] -> idle_m[0] = false; m = 0
      :: !idle_m[0] && idle_m[1] -> idle_m[1] = false; m = 1
#endif
      :: else -> idle_p[q] = true; ok = false
      fi
    }
    if
    :: m != NONE -> atomic { own(m, q); spinning[m] = spin }; wake[m] = true; ok = true
    :: else
    fi
  fi
}

inline wake_p() {
  atomic { if :: nspinning == 0 -> nspinning = 1; got = true :: else -> got = false fi }
  if
  :: got ->
    atomic { p_take(q) }
    if :: q == NONE -> got = false :: else -> m_for(q, true, got) fi;
    if :: !got -> nspinning-- :: else fi
  :: else
  fi
}
inline wake_if_worth() {
  if
  :: IDLE_PS -> if :: nspinning == 0 -> if :: ring[p_of[me]] > 0 -> wake_p() :: else fi :: else fi
  :: else
  fi
}

/* One look at everything; found: a goroutine to run. */
inline look() {
  found = false;
  atomic { if :: ring[p_of[me]] > 0 -> ring[p_of[me]]--; found = true :: else fi }
  if
  :: !found && nglobal > 0 -> atomic { if :: nglobal > 0 -> nglobal--; found = true :: else fi }
  :: else
  fi;
  if
  :: !found -> atomic { if :: ring[1 - p_of[me]] > 0 -> ring[1 - p_of[me]]--; found = true :: else fi }
  :: else
  fi
}

active [2] proctype worker() {
  byte q, m, me = _pid;
  bool found, got;
loop:
  if
  :: p_of[me] == NONE -> goto sleep
  :: else
  fi;
  look();
  if
  :: !found && !spinning[me] -> /* may it spin? */
    if
    :: !IDLE_PS -> atomic { if :: nspinning == 0 -> nspinning = 1; spinning[me] = true :: else fi }
    :: else
    fi
  :: else
  fi;
  if :: !found && spinning[me] -> look() :: else fi;
  if
  :: spinning[me] -> spinning[me] = false; nspinning--; if :: found -> wake_if_worth() :: else fi
  :: else
  fi;
  if
  :: found -> /* runs it; the first generation readies one more */
    atomic { ran++; if :: ran <= 2 * PUTS -> ring[p_of[me]]++; put++; got = true :: else -> got = false fi };
    if :: got -> wake_if_worth() :: else fi
  :: else ->
    atomic {
      if
#ifndef BUG_NO_SECOND_LOOK
      :: nglobal > 0
#endif
      :: else -> user[p_of[me]]--; idle_p[p_of[me]] = true; p_of[me] = NONE
      fi
    }
  fi;
  goto loop;
sleep:
  atomic {
    if
#ifndef BUG_NO_SECOND_LOOK
    :: nglobal > 0 && IDLE_PS -> p_take(q); own(me, q); goto loop
#endif
    :: else -> idle_m[me] = true
    fi
  };
#ifdef BUG_CLEARS_WAKE_FIRST
  wake[me] = false;
#endif
end:
  wake[me];
  wake[me] = false;
  goto loop
}

active [2] proctype producer() {
  byte n, q, m, me;
  bool got;
  do
  :: n == PUTS -> break
  :: else ->
    n++;
    atomic {
      nglobal++; put++;
      if :: nspinning > 0 -> q = NONE :: else -> p_take(q) fi
    }
    if :: q != NONE -> m_for(q, false, got) :: else fi
  od
}

active proctype judge() {
  timeout;
  assert(ran == put && nglobal == 0 && nspinning == 0 && ring[0] == 0 && ring[1] == 0)
}

