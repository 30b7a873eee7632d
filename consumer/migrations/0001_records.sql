-- One row per notification (tenant, channel, dedupe key), for its whole life.
CREATE TABLE IF NOT EXISTS notification_records (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  dedupe_hash   BINARY(32)      NOT NULL,
  tenant        VARCHAR(64)     NOT NULL,
  channel       VARCHAR(64)     NOT NULL,
  dedupe_key    VARCHAR(191)    NOT NULL,
  event_id      VARCHAR(64)     NOT NULL,
  content_hash  BINARY(32)      NOT NULL,
  status        VARCHAR(16)     NOT NULL,
  reason        VARCHAR(64)     NULL,
  version       INT UNSIGNED    NOT NULL DEFAULT 1,
  shard         SMALLINT        NOT NULL,
  due_at        DATETIME(6)     NULL,   -- when it can be acted on next: due time, or the lease's end while sending; NULL: never by itself
  parked_by     VARCHAR(64)     NULL,
  priority      TINYINT         NOT NULL,
  ordering_hash BINARY(32)      NULL,
  open_ordering_hash BINARY(32) AS (CASE WHEN status IN ('pending', 'sending', 'failed') THEN ordering_hash END) STORED,
  lease_owner   VARCHAR(64)     NULL,   -- the claim's own token while sending
  attempt_no    INT             NOT NULL DEFAULT 0,
  attempts_spent INT            NOT NULL DEFAULT 0,
  max_attempts  INT             NOT NULL DEFAULT 0,   -- the request's own; 0: the channel's policy
  uncertain     BOOLEAN         NOT NULL DEFAULT FALSE,
  send_key      VARCHAR(64)     NULL,
  send_key_first_used_at DATETIME(6) NULL,
  held_since    DATETIME(6)     NULL,
  expires_at    DATETIME(6)     NULL,
  private       BOOLEAN         NOT NULL DEFAULT FALSE,
  recipient     VARCHAR(255)    NOT NULL DEFAULT '',
  request       MEDIUMTEXT      NULL,   -- the request as canonical JSON; removed after its retention
  metadata      JSON            NULL,
  traceparent   VARCHAR(64)     NULL,
  tracestate    VARCHAR(512)    NULL,
  provider      VARCHAR(32)     NULL,   -- of the last attempt
  last_error    VARCHAR(2000)   NULL,
  provider_message_id VARCHAR(128) NULL,
  provider_log_id VARCHAR(128)  NULL,
  source_topic  VARCHAR(249)    NOT NULL,
  source_partition INT          NOT NULL,
  source_offset BIGINT          NOT NULL,
  source_key    VARCHAR(191)    NOT NULL DEFAULT '',
  committed_at  DATETIME(6)     NULL,   -- the event's createdAt
  created_at    DATETIME(6)     NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  updated_at    DATETIME(6)     NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  sent_at       DATETIME(6)     NULL,
  CONSTRAINT notification_records_status CHECK (status IN ('pending', 'sending', 'sent', 'failed', 'dead', 'skipped')),
  UNIQUE KEY records_by_dedupe_hash (dedupe_hash),                    -- ingest: one record per key
  KEY records_by_due (shard, channel, priority, due_at),              -- scan: only open channels are asked, for what may be sent now
  KEY records_by_open_ordering (open_ordering_hash, id),              -- claim: no earlier unfinished record of the ordering key
  KEY records_by_parked (parked_by, channel, id),                     -- release of what was parked
  KEY records_by_key (dedupe_key, id),                                -- show
  KEY records_by_status (status, id)                                  -- ls; recovery of expired leases
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS notification_attempts (
  record_id     BIGINT UNSIGNED NOT NULL,
  attempt_no    INT             NOT NULL,
  started_at    DATETIME(6)     NOT NULL,
  duration_us   BIGINT          NULL,
  worker        VARCHAR(128)    NOT NULL,
  provider      VARCHAR(32)     NOT NULL DEFAULT '',
  verdict       VARCHAR(16)     NOT NULL,   -- a SendVerdict, or lease_expired
  reason        VARCHAR(64)     NOT NULL DEFAULT '',
  http_status   INT             NOT NULL DEFAULT 0,
  provider_code VARCHAR(64)     NOT NULL DEFAULT '',
  provider_log_id VARCHAR(128)  NOT NULL DEFAULT '',
  detail        VARCHAR(2000)   NOT NULL DEFAULT '',
  answer        TEXT            NULL,       -- redacted and capped
  PRIMARY KEY (record_id, attempt_no)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- A shard stands for a Kafka partition (or a direct source): who scans it, and how far ingest has come. Each event of the log moves
-- exactly one of the four counters, once, however often it is read.
CREATE TABLE IF NOT EXISTS consumer_shards (
  shard         SMALLINT        NOT NULL AUTO_INCREMENT PRIMARY KEY,
  topic         VARCHAR(249)    NOT NULL,
  partition_no  INT             NOT NULL,
  owner         VARCHAR(128)    NOT NULL DEFAULT '',
  epoch         BIGINT UNSIGNED NOT NULL DEFAULT 0,
  lease_until   DATETIME(6)     NOT NULL DEFAULT '2000-01-01 00:00:00',
  next_offset   BIGINT          NOT NULL DEFAULT 0,   -- Kafka: everything below is recorded or rejected; direct: above the highest seq
  events_recorded   BIGINT UNSIGNED NOT NULL DEFAULT 0,
  events_duplicate  BIGINT UNSIGNED NOT NULL DEFAULT 0,
  events_conflicting BIGINT UNSIGNED NOT NULL DEFAULT 0,
  events_rejected   BIGINT UNSIGNED NOT NULL DEFAULT 0,
  offsets_skipped   BIGINT UNSIGNED NOT NULL DEFAULT 0,   -- never read: the log had lost them (retention), or they held no event
  updated_at    DATETIME(6)     NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  UNIQUE KEY shards_by_partition (topic, partition_no)                -- ingest: the shards of a batch
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Events that can't become a record: kept with every fault, so that nothing is dropped silently.
CREATE TABLE IF NOT EXISTS rejected_events (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  topic         VARCHAR(249)    NOT NULL,
  partition_no  INT             NOT NULL,
  offset_no     BIGINT          NOT NULL,
  event_hash    BINARY(32)      NOT NULL,   -- of key, value and headers: a topic that is made anew counts from 0 again
  event_key     LONGBLOB        NULL,
  value         LONGBLOB        NULL,       -- NULL: a tombstone, or too large for the server (the faults say so)
  headers       LONGTEXT        NOT NULL,   -- JSON list of [name, value or null]; names and values that aren't UTF-8 as {"base64": ...}
  reason        VARCHAR(64)     NOT NULL,
  faults        LONGTEXT        NOT NULL,   -- JSON list of {"pointer", "problem"}
  created_at    DATETIME(6)     NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  UNIQUE KEY rejected_by_position (topic, partition_no, offset_no, event_hash)   -- ingest: the same event again is no news
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
