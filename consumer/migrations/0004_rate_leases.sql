-- One row for each limit (of a bot, an app, a tenant, a recipient) that somebody uses now, or used within its window: who may use how much
-- of it, and what still counts. Written only over the version that was read. Recipients stand here by hash alone.
CREATE TABLE IF NOT EXISTS rate_leases (
  limit_key     BINARY(32)      NOT NULL PRIMARY KEY,   -- SHA-256 of kind and name
  kind          VARCHAR(16)     NOT NULL,               -- channel, app, tenant, recipient
  name          VARCHAR(191)    NOT NULL DEFAULT '',    -- for people
  version       BIGINT UNSIGNED NOT NULL,
  written_by    VARCHAR(128)    NOT NULL,
  shares        MEDIUMTEXT      NOT NULL,               -- JSON: holders with share and lease, debts; times in microseconds since 1970
  closed_until  DATETIME(6)     NULL,                   -- the vendor's "not before"
  booked_until  DATETIME(6)     NULL,                   -- slots before it are given to records that wait
  ends_at       DATETIME(6)     NOT NULL,               -- then nothing of it counts any more
  KEY rate_leases_by_end (ends_at)                      -- removal of what ended
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
