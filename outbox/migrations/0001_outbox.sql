-- The table an application writes into (the columns of Debezium's outbox event router). No secondary index: the
-- application's insert stays an append.
CREATE TABLE IF NOT EXISTS {{outbox}} (
  seq           BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  id            CHAR(36)     NOT NULL DEFAULT (UUID()),
  aggregatetype VARCHAR(64)  NOT NULL DEFAULT 'notification',
  aggregateid   VARCHAR(191) NOT NULL,
  type          VARCHAR(128) NOT NULL DEFAULT 'notification.requested',
  payload       JSON         NOT NULL,
  traceparent   VARCHAR(64)  NULL,
  tracestate    VARCHAR(512) NULL,
  created_at    TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Who leads which source. The epoch fences: whoever holds an older one changes nothing.
CREATE TABLE IF NOT EXISTS outbox_leases (
  source     VARCHAR(64)     NOT NULL PRIMARY KEY,
  owner      VARCHAR(128)    NOT NULL,
  epoch      BIGINT UNSIGNED NOT NULL,
  expires_at DATETIME(6)     NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What left, written in the transaction that deleted the rows: `verify` compares it with what ingest recorded.
CREATE TABLE IF NOT EXISTS outbox_ledger (
  id             BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  source         VARCHAR(64)     NOT NULL,
  epoch          BIGINT UNSIGNED NOT NULL,
  topic          VARCHAR(249)    NOT NULL,
  partition_no   INT             NOT NULL,
  highest_offset BIGINT          NOT NULL,
  row_count      INT UNSIGNED    NOT NULL,
  created_at     DATETIME(6)     NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Rows that can never be published, moved aside in the transaction that deleted them.
CREATE TABLE IF NOT EXISTS outbox_dead (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  source        VARCHAR(64)     NOT NULL,
  seq           BIGINT UNSIGNED NOT NULL,
  event_id      CHAR(36)        NOT NULL,
  aggregatetype VARCHAR(64)     NOT NULL,
  aggregateid   VARCHAR(191)    NOT NULL,
  type          VARCHAR(128)    NOT NULL,
  payload       LONGTEXT        NOT NULL,
  traceparent   VARCHAR(64)     NULL,
  tracestate    VARCHAR(512)    NULL,
  created_at    DATETIME(6)     NOT NULL,
  reason        VARCHAR(64)     NOT NULL,
  detail        VARCHAR(2000)   NOT NULL,
  moved_at      DATETIME(6)     NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
