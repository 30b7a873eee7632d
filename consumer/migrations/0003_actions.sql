-- What persons have paused: all processes obey within a sweep. No row: it goes on.
CREATE TABLE IF NOT EXISTS delivery_pauses (
  kind          VARCHAR(16)     NOT NULL,   -- channel, tenant
  name          VARCHAR(64)     NOT NULL,
  paused_at     DATETIME(6)     NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  actor         VARCHAR(191)    NOT NULL,
  reason        VARCHAR(2000)   NOT NULL,
  PRIMARY KEY (kind, name),
  CONSTRAINT delivery_pauses_kind CHECK (kind IN ('channel', 'tenant'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Every action of a person (and every record that another event opened again), in the transaction that did it. An action on many
-- records is done in batches, each with a row of its own; they share the job.
CREATE TABLE IF NOT EXISTS audit_log (
  id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  acted_at      DATETIME(6)     NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  actor         VARCHAR(191)    NOT NULL,
  action        VARCHAR(32)     NOT NULL,   -- replay, discard, cancel, pause, resume, replay_rejected, reopen
  target        VARCHAR(255)    NOT NULL,   -- in words: "dead of channel ops", "channel ops"
  records       INT UNSIGNED    NOT NULL,
  reason        VARCHAR(2000)   NOT NULL,   -- the person's own
  job           VARCHAR(36)     NULL,
  detail        TEXT            NOT NULL,   -- JSON: what a job was asked for
  KEY audit_by_job (job, id)                                          -- a job that goes on after it was interrupted
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Which records an action changed, and what they were before.
CREATE TABLE IF NOT EXISTS audit_records (
  record_id     BIGINT UNSIGNED NOT NULL,
  audit_id      BIGINT UNSIGNED NOT NULL,
  was_status    VARCHAR(16)     NOT NULL,
  was_reason    VARCHAR(64)     NOT NULL,
  was_uncertain BOOLEAN         NOT NULL,
  PRIMARY KEY (record_id, audit_id)                                   -- show: what was done to a record
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Rejected events that were written into the outbox again, once each.
CREATE TABLE IF NOT EXISTS rejected_replays (
  rejected_id   BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  audit_id      BIGINT UNSIGNED NOT NULL,
  event_id      VARCHAR(64)     NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
