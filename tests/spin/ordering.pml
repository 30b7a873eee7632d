/* Three requests of one ordering key, which ingest records one after the other, and two consumers. Only the first
   unfinished record of the key goes on; whoever finds itself behind it is parked, and whoever ends the head wakes the next
   one in the same transaction. A crash leaves a record sending until its lease ends.

   At most one of the key is in flight, they end in the order of arrival, and nobody waits for ever: there is no sweep here
   that would find a parked record again. */

#define RECORDS 3
#define MAX_SPENT 2
#ifndef CRASHES
#define CRASHES 1
#endif

mtype = { none, pending, sending, failed, ended };

mtype status[RECORDS] = none;
bool parked[RECORDS], lease_over[RECORDS];
byte version[RECORDS], spent[RECORDS];
byte ended_last = 255, crashes;

#define UNFINISHED(r) (status[r] == pending || status[r] == sending || status[r] == failed)
#define DUE(r) ((status[r] == pending || status[r] == failed) && !parked[r])
#define IN_FLIGHT(r) (status[r] == sending -> 1 : 0)
#define HEAD (UNFINISHED(0) -> 0 : (UNFINISHED(1) -> 1 : (UNFINISHED(2) -> 2 : RECORDS)))

/* In the transaction that ends a head: the next record of the key is let go. */
inline end_and_wake(r) {
  assert(ended_last == 255 || ended_last < r);
  ended_last = r;
  status[r] = ended; version[r]++;
#ifndef BREAK_WAKING
  if
  :: HEAD < RECORDS -> parked[HEAD] = false
  :: else
  fi
#endif
}

active proctype ingest() {
  byte r;
  do
  :: r < RECORDS -> status[r] = pending; r++
  :: else -> break
  od
}

active [2] proctype consumer() {
  byte r, seen, head;
started:
  atomic { r = 0; seen = 0; head = 0 }
end: do
  :: atomic {
       DUE(0) || DUE(1) || DUE(2) ->
       if
       :: DUE(0) -> r = 0
       :: DUE(1) -> r = 1
       :: DUE(2) -> r = 2
       fi;
       seen = version[r]
     };
     head = HEAD;                                /* a statement of its own: others act between it and the claim */
     if
#ifdef BREAK_HEAD
     :: true ->
#else
     :: head == r ->
#endif
        atomic {
          if
          :: version[r] == seen && DUE(r) ->
             status[r] = sending; version[r]++; spent[r]++; lease_over[r] = false; seen = version[r];
             assert(IN_FLIGHT(0) + IN_FLIGHT(1) + IN_FLIGHT(2) == 1)
          :: else -> seen = 255
          fi
        };
        if
        :: crashes < CRASHES -> crashes++; goto started
        :: true
        fi;
        atomic {
          if
          :: seen != 255 && version[r] == seen && status[r] == sending ->
             if
             :: end_and_wake(r)
             :: spent[r] < MAX_SPENT -> status[r] = failed; version[r]++
             fi
          :: else
          fi
        }
     :: head != r && head < RECORDS ->
        /* Parked in a transaction that holds the head's row, so the head can't end in between. */
#ifdef BREAK_PARKING
        if
        :: UNFINISHED(head) -> atomic { if :: version[r] == seen && DUE(r) -> parked[r] = true; version[r]++ :: else fi }
        :: else
        fi
#else
        atomic {
          if
          :: UNFINISHED(head) && version[r] == seen && DUE(r) -> parked[r] = true; version[r]++
          :: else
          fi
        }
#endif
     :: head == RECORDS
     fi;
     atomic { r = 0; seen = 0; head = 0 }

  /* Recovery of an expired lease. */
  :: atomic {
       (status[0] == sending && lease_over[0]) || (status[1] == sending && lease_over[1]) || (status[2] == sending && lease_over[2]) ->
       if
       :: status[0] == sending && lease_over[0] -> r = 0
       :: status[1] == sending && lease_over[1] -> r = 1
       :: status[2] == sending && lease_over[2] -> r = 2
       fi;
       lease_over[r] = false;
       if
       :: spent[r] == MAX_SPENT -> end_and_wake(r)
       :: else -> status[r] = failed; version[r]++
       fi;
       r = 0
     }
  od
}

active proctype clock() {
end: do
  :: status[0] == sending && !lease_over[0] -> lease_over[0] = true
  :: status[1] == sending && !lease_over[1] -> lease_over[1] = true
  :: status[2] == sending && !lease_over[2] -> lease_over[2] = true
  od
}

active proctype quiet() {
end: timeout ->
  assert(status[0] == ended && status[1] == ended && status[2] == ended)
}
