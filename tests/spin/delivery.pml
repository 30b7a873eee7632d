/* One request from the log to the vendor: ingest, claim, look at the lease, send, settle, recover. Two consumers, copies
   in the log, commits whose answer never comes, a crash anywhere, and a lease that may end at any moment, so a pause of
   any length.

   The row changes in single transactions, as the statements of consumer/record_store.cc change it: under the version
   that was read. Between two of them anything may happen. Ingest leaves the new row to a scan, or inserts it under a
   claim of its own (consumer/fresh_claims.h). */

#ifndef COPIES
#define COPIES 2      /* of the event in the log: what two relays may leave there */
#endif
#define MAX_SPENT 2   /* attempts that count */
#ifndef HOLDS
#define HOLDS 0       /* attempts that are given back */
#endif
#ifndef CRASHES
#define CRASHES 1     /* of consumers, together */
#endif
#define LOSSES 2      /* answers of the database that never come, together */

mtype = { none, pending, sending, sent, failed, dead };

/* What is durable. */
byte offset;                       /* committed for the group */
mtype status = none;
byte version, spent, token;
bool uncertain, lease_over;

byte accepted;                     /* the vendor's truth */
byte crashes, losses, holds, claims;

/* model/status: what may follow what. */
#define LEGAL(from, to) ((from == none && (to == pending || to == sending)) || (from == pending && to == sending) || (from == failed && to == sending) \
  || (from == sending && (to == sent || to == failed || to == dead)))
#define MOVE(to) assert(LEGAL(status, to)); status = to; version++
#define DUE ((status == pending || status == failed) && spent < MAX_SPENT)

/* Under another version nothing happens. */
inline settle(to, in_doubt, given_back) {
  atomic {
    if
#ifdef BREAK_SETTLEMENT
    :: status == sending ->
#else
    :: version == mine && status == sending ->
#endif
       assert(token == key);                      /* whoever changes it holds it */
       if
       :: given_back -> spent--; MOVE(failed)
       :: !given_back && to == failed && spent == MAX_SPENT -> MOVE(dead)
       :: else -> MOVE(to)
       fi;
       uncertain = uncertain || in_doubt;
       lease_over = false; token = 0
    :: else
    fi
  }
}

/* Who dies loses what it knew, and is started anew. */
inline may_crash() {
  if
  :: crashes < CRASHES -> crashes++; goto started
  :: skip
  fi
}

active [2] proctype consumer() {
  byte seen, mine, key;
  byte owed_version, owed_key;     /* a claim to be given back once the database answers */
started:
  atomic { seen = 0; mine = 0; key = 0; owed_version = 0; owed_key = 0 }
end: do
  /* Ingest: by the unique hash a second copy is nothing. The offset follows; what was claimed may leave before it. */
  :: offset < COPIES ->
     atomic {
       if
       :: status == none -> MOVE(pending)
       :: status == none ->
          claims++; key = claims;
          MOVE(sending); spent++; lease_over = false; token = key; mine = version
       :: status == none && losses + 1 < LOSSES && owed_version == 0 ->
          /* rolled back, but nobody says so */
          losses = losses + 2;
          claims++;
#ifdef BREAK_START
          key = claims; mine = 1
#else
          owed_version = 1; owed_key = claims
#endif
       :: else
       fi
     }
     may_crash();
     if
     :: mine != 0 && losses + 1 < LOSSES && owed_version == 0 ->
        /* committed, and nobody says so: not started, but given back */
        losses = losses + 2;
        owed_version = mine; owed_key = key; mine = 0; key = 0
     :: mine != 0 -> goto claimed
     :: mine == 0
     fi;
     d_step {
       if
       :: offset < COPIES -> offset++
       :: else
       fi
     }

  :: owed_version != 0 ->
     d_step {
       if
#ifdef BREAK_GIVING_BACK
       :: version == owed_version && status == sending ->
#else
       :: version == owed_version && status == sending && token == owed_key ->
#endif
          spent--; MOVE(failed); lease_over = false; token = 0
       :: else
       fi;
       owed_version = 0; owed_key = 0
     }

  :: DUE ->
     seen = version;
     atomic {
       claims++; key = claims;
       if
#ifdef BREAK_CLAIM
       :: spent < MAX_SPENT ->
#else
       :: version == seen && DUE ->
#endif
          MOVE(sending); spent++; lease_over = false; token = key; mine = version
       :: else                                  /* somebody was first */
       :: version == seen && DUE && losses + 1 < LOSSES && owed_version == 0 ->
          /* rolled back, but nobody says so, neither now nor when asked */
          losses = losses + 2;
          owed_version = seen + 1; owed_key = key
       fi
     }
     may_crash();
     if
     :: true
     :: mine != 0 && losses + 1 < LOSSES && owed_version == 0 ->
        /* committed, and nobody says so */
        losses = losses + 2;
        owed_version = seen + 1; owed_key = key; mine = 0
     fi;
claimed:
     if
     :: mine == 0
     :: mine != 0 && version == mine && !lease_over ->
        /* So far the look right before the bytes leave. The lease may end between it and them (W4). */
        may_crash();
        if
        :: d_step { accepted++; assert(accepted == 1 || uncertain) };
           may_crash();
           if
           :: true -> settle(sent, false, false)       /* answered */
           :: true -> settle(failed, true, false)      /* the answer was lost */
           fi
        :: true -> settle(failed, false, false)        /* not now */
        :: true -> settle(dead, false, false)          /* refused for good */
        :: holds < HOLDS -> holds++; settle(failed, false, true)  /* the channel's fault, not the message's */
        fi
     :: mine != 0 && (version != mine || lease_over) ->
#ifdef BREAK_LOOK
        d_step { accepted++; assert(accepted == 1 || uncertain) };
#endif
        if                                      /* nothing left: the attempt is given back */
        :: holds < HOLDS -> holds++; settle(failed, false, true)
        :: else -> settle(failed, false, false) /* so that the model is finite */
        fi
     fi;
     may_crash();
     seen = 0; mine = 0; key = 0

  /* Recovery of an expired lease, by anybody. */
  :: status == sending && lease_over ->
     seen = version;
     d_step {
       if
       :: version == seen && status == sending && lease_over ->
          if
          :: spent == MAX_SPENT -> MOVE(dead)
          :: else -> MOVE(failed)
          fi;
#ifndef BREAK_RECOVERY
          uncertain = true;
#endif
          lease_over = false; token = 0
       :: else
       fi
     };
     seen = 0
  od
}

/* The database's clock passes the lease's end. */
active proctype clock() {
end: do
  :: status == sending && !lease_over -> lease_over = true
  od
}

/* When nothing happens any more. */
active proctype quiet() {
end: timeout ->
  assert(offset == COPIES);
  assert(status == sent || status == dead);
  assert(status != sent || accepted > 0)
}
