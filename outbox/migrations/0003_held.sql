-- Dead letters: which of them hold their key (its number, NULL: none), by indexes for that and for what a person looks
-- for; and whole, where a table of others' making allows longer texts. Two outbox tables of one database share this
-- one, so it is changed only once.
SET @change = (SELECT IF(COUNT(*) > 0, 'DO 0',
  'ALTER TABLE outbox_dead ADD COLUMN holds_key BIGINT UNSIGNED NULL, ADD KEY dead_by_held_key (source, holds_key), ADD KEY dead_by_seq (source, seq), MODIFY event_id VARCHAR(255) NOT NULL, MODIFY aggregatetype TEXT NOT NULL, MODIFY aggregateid TEXT NOT NULL, MODIFY type TEXT NOT NULL, MODIFY traceparent TEXT NULL, MODIFY tracestate TEXT NULL')
  FROM information_schema.columns
  WHERE table_schema = DATABASE() AND table_name = 'outbox_dead' AND column_name = 'holds_key');
PREPARE change_outbox_dead FROM @change;
EXECUTE change_outbox_dead;
DEALLOCATE PREPARE change_outbox_dead;

-- Keys whose rows wait: behind a dead row, or until those that waited behind it are published. What is below first_seq
-- goes before them.
CREATE TABLE IF NOT EXISTS outbox_held_keys (
  source        VARCHAR(64)     NOT NULL,
  key_no        BIGINT UNSIGNED NOT NULL,
  aggregatetype TEXT            NOT NULL,
  aggregateid   TEXT            NOT NULL,
  first_seq     BIGINT UNSIGNED NOT NULL,
  held_at       DATETIME(6)     NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (source, key_no)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The rows of those keys, moved out of the outbox so that no read of the others meets them.
CREATE TABLE IF NOT EXISTS outbox_held (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  source        VARCHAR(64)     NOT NULL,
  key_no        BIGINT UNSIGNED NOT NULL,
  seq           BIGINT UNSIGNED NOT NULL,
  event_id      VARCHAR(255)    NOT NULL,
  aggregatetype TEXT            NOT NULL,
  aggregateid   TEXT            NOT NULL,
  type          TEXT            NOT NULL,
  payload       LONGTEXT        NOT NULL,
  traceparent   TEXT            NULL,
  tracestate    TEXT            NULL,
  created_at    DATETIME(6)     NOT NULL,
  held_at       DATETIME(6)     NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  KEY held_by_key (source, key_no, seq, id)                -- the rows of a key in their order
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What persons did to dead rows: who, when, why, which.
CREATE TABLE IF NOT EXISTS outbox_audit (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  source        VARCHAR(64)     NOT NULL,
  acted_at      DATETIME(6)     NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  actor         VARCHAR(191)    NOT NULL,
  action        VARCHAR(32)     NOT NULL,                   -- replay, discard
  reason        VARCHAR(2000)   NOT NULL,                   -- the person's own
  dead_id       BIGINT UNSIGNED NOT NULL,
  seq           BIGINT UNSIGNED NOT NULL,
  event_id      VARCHAR(255)    NOT NULL,
  aggregatetype TEXT            NOT NULL,
  aggregateid   TEXT            NOT NULL,
  dead_reason   VARCHAR(64)     NOT NULL,                   -- why it had been moved aside
  dead_since    DATETIME(6)     NOT NULL,
  KEY audit_by_seq (source, seq)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
