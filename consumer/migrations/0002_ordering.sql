-- Ordering keys with a record in flight: one row while it is `sending`, in the transaction of the claim and of the settlement. So no
-- two of a key are in flight, whoever claims: a record that a person replays keeps its place before those that came after it.
CREATE TABLE IF NOT EXISTS ordering_flights (
  ordering_hash BINARY(32)      NOT NULL PRIMARY KEY,
  record_id     BIGINT UNSIGNED NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Dead records that hold those behind them (`ordering: block`). A row counts only as long as its record is dead.
CREATE TABLE IF NOT EXISTS ordering_blocks (
  record_id     BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  ordering_hash BINARY(32)      NOT NULL,
  channel       VARCHAR(64)     NOT NULL,
  blocked_at    DATETIME(6)     NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  KEY blocks_by_key (ordering_hash, record_id),                       -- claim, wake: does anything hold the key
  KEY blocks_by_channel (channel, record_id)                          -- release when the channel's policy changed
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
