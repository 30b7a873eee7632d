/* Two relays over one outbox table, both of which lead all the time: the worst that leases can do. Transactions that
   commit late or never, publishing that fails in the middle, a crash anywhere.

   Row A commits before row B, of the same key, is inserted; row X is another transaction's, and may take its number before
   them and commit after them. Order: A's first place in the log comes before B's. Nothing lost: at the end what was
   committed is in the log and not in the table. */

#define ROWS 3
#define A 0
#define B 1
#define X 2
#define CRASHES 1
#define FAILURES 1    /* of the broker */

mtype = { unborn, open, committed, rolled_back, deleted };

mtype row[ROWS] = unborn;
byte seq[ROWS];                    /* 1.. in the order of the inserts */
byte next_seq = 1;
byte at[ROWS + 1];                 /* which row has a number */
bool logged[ROWS];
bool done_writing[2];
byte crashes, failures;

inline insert(r) { d_step { row[r] = open; seq[r] = next_seq; at[next_seq] = r; next_seq++ } }

active proctype writer() {
  insert(A); row[A] = committed;
  insert(B); row[B] = committed;
  done_writing[0] = true
}

active proctype other_writer() {
  insert(X);
  if
  :: row[X] = committed
  :: row[X] = rolled_back
  fi;
  done_writing[1] = true
}

#define IS_ROW(s) (s < next_seq && row[at[s]] == committed)
#define BIT(s) (1 << (s))

/* The rows that one statement sees, of those with a number in `from`. */
inline read(result, from) {
  d_step {
    result = 0; s = 1;
    do
    :: s <= ROWS -> if :: (from & BIT(s)) && IS_ROW(s) -> result = result | BIT(s) :: else fi; s++
    :: else -> break
    od;
    s = 0
  }
}

active [2] proctype relay() {
  byte place, seen;                /* the highest number read; the numbers read, as bits */
  byte tail, gaps, batch, acked, s;
  bool failed;
started:
  atomic { place = 0; seen = 0; tail = 0; gaps = 0; batch = 0; acked = 0; s = 0; failed = false }
end: do
  :: IS_ROW(1) || IS_ROW(2) || IS_ROW(3) ->
     /* The tail; then the gaps below its end. */
     read(tail, (~(BIT(place + 1) - 1)));
     d_step {
       s = ROWS;
       do
       :: s > 0 && !(tail & BIT(s)) -> s--
       :: else -> break
       od;
       if :: s > place -> place = s :: else fi;
       s = 0
     }
#ifdef BREAK_NO_GAPS
     gaps = 0;
#else
#ifndef BREAK_GAPS_FIRST
     read(gaps, ((BIT(place + 1) - 1) & ~seen & ~tail));
#endif
#endif
     /* Submitted in the order of their numbers; the log has a prefix of it. */
#ifdef BREAK_GAPS_GO_FIRST
     d_step { acked = 0; failed = false; batch = gaps; seen = seen | gaps; gaps = 0 };
#else
     d_step { acked = 0; failed = false; batch = gaps | tail; seen = seen | batch; gaps = 0; tail = 0 };
#endif
     do
     :: batch == 0 && tail == 0 -> break
     :: batch == 0 && tail != 0 -> d_step { batch = tail; seen = seen | tail; tail = 0 }
     :: batch != 0 ->
        d_step {
          s = 1;
          do
          :: !(batch & BIT(s)) -> s++
          :: else -> break
          od
        };
        if
        :: failures < FAILURES ->        /* the rest is given up, and read again */
           failures++;
#ifdef BREAK_GO_ON
           d_step { batch = batch & ~BIT(s); failed = true; s = 0 }
#else
           d_step { batch = 0; tail = 0; failed = true; s = 0 };
           break
#endif
        :: d_step {
             assert(at[s] != B || logged[A]);
             logged[at[s]] = true; acked = acked | BIT(s); batch = batch & ~BIT(s); s = 0
           }
        :: crashes < CRASHES -> crashes++; goto started
        fi
     od;
     if
     :: crashes < CRASHES -> crashes++; goto started
     :: true
     fi;
     /* One transaction; by key, never by range. */
     d_step {
       s = 1;
       do
#ifdef BREAK_DELETE_RANGE
       :: s <= ROWS -> if :: (acked >= BIT(s)) && IS_ROW(s) -> row[at[s]] = deleted :: else fi; s++
#else
       :: s <= ROWS -> if :: (acked & BIT(s)) && IS_ROW(s) -> row[at[s]] = deleted :: else fi; s++
#endif
       :: else -> break
       od;
       s = 0
     };
     if
     :: failed -> d_step { place = 0; seen = 0; failed = false }   /* back to the first whose place isn't known */
     :: else
     fi;
     acked = 0;
#ifdef BREAK_GAPS_FIRST
     read(gaps, ((BIT(place + 1) - 1) & ~seen))
#endif
  od
}

active proctype quiet() {
end: timeout ->
  assert(done_writing[0] && done_writing[1]);
  assert(logged[A] && logged[B] && row[A] == deleted && row[B] == deleted);
  assert(row[X] == rolled_back || row[X] == deleted);
  assert(logged[X] == (row[X] == deleted))
}
