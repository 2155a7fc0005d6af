/* A P's run queue (core/src/sched/proc.c: ring_put, ring_get, steal, ring_spill): its owner, and two
 * thieves that each take half. Every load, store and CAS is a step. head and tail count up without end,
 * here modulo 8, so that they also wrap.
 * Must hold: each of the goroutines put is run once, and none that was not put.
 * SPDX-License-Identifier: Apache-2.0 */
#define RING 2
#define N 5
#define WRAP(x) ((x) & 7)
byte head = 6, tail = 6, slot[RING], ran[N + 1];

inline exec(g) { assert(g > 0 && g <= N); ran[g]++; assert(ran[g] == 1) }

active proctype owner() {
  byte next = 1, h, t, g;
  do
  :: next <= N -> /* ring_put */
    t = tail;
    h = head;
    if
    :: WRAP(t - h) >= RING -> /* ring_spill: half of them and the new one; they go elsewhere: run */
      h = head;
      if
      :: WRAP(t - h) / 2 > 0 ->
        g = slot[h % RING];
#ifdef BUG_SPILL_WITHOUT_CAS
        head = WRAP(h + 1); exec(g)
#else
        atomic { if :: head == h -> head = WRAP(h + 1); exec(g) :: else fi }
#endif
      :: else
      fi;
      exec(next);
      next++
    :: else ->
#ifdef BUG_TAIL_FIRST
      tail = WRAP(t + 1);
      slot[t % RING] = next;
#else
      slot[t % RING] = next;
      tail = WRAP(t + 1);
#endif
      next++
    fi
  :: else -> /* ring_get */
    h = head;
    if
    :: tail == h -> if :: next > N -> break :: else fi
    :: else ->
      g = slot[h % RING];
#ifdef BUG_POP_WITHOUT_CAS
      head = WRAP(h + 1); exec(g)
#else
      atomic { if :: head == h -> head = WRAP(h + 1); exec(g) :: else fi }
#endif
    fi
  :: next > 1 && next <= N -> /* ring_get between two puts */
    h = head;
    if
    :: tail == h
    :: else ->
      g = slot[h % RING];
#ifdef BUG_POP_WITHOUT_CAS
      head = WRAP(h + 1); exec(g)
#else
      atomic { if :: head == h -> head = WRAP(h + 1); exec(g) :: else fi }
#endif
    fi
  od
}

/* Rounded up, half of one or two is one. */
active [2] proctype thief() {
  byte h, t, g, tries;
  do
  :: tries == 2 -> break
  :: else ->
    tries++;
    h = head;
    t = tail;
    if
    :: WRAP(t - h) == 0 || WRAP(t - h) > RING
    :: else ->
      g = slot[h % RING];
#ifdef BUG_STEAL_WITHOUT_CAS
      head = WRAP(h + 1); exec(g)
#else
      atomic { if :: head == h -> head = WRAP(h + 1); exec(g) :: else fi }
#endif
    fi
  od
}

active proctype judge() {
  byte i = 1;
  timeout;
  do
  :: i > N -> break
  :: else -> assert(ran[i] == 1); i++
  od
}
