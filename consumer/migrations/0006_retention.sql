-- What is kept of finished records, and since when. keep_stage: 1 sent, 2 skipped, 3 dead, each with its body; 4, 5, 6 the same without.
-- kept_since: its end, or the event's createdAt where an application's clock was ahead of this one: a copy of the event that is still young
-- meets its record. Stored, so that whoever changes a record keeps both right without knowing of them. Both servers copy the table here, so a
-- large one takes its time; nothing may write meanwhile.
SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()
                       AND table_name = 'notification_records' AND column_name = 'keep_stage') = 0,
                    'ALTER TABLE notification_records
                       ADD COLUMN keep_stage TINYINT AS (CASE status WHEN ''sent'' THEN IF(request IS NULL, 4, 1)
                         WHEN ''skipped'' THEN IF(request IS NULL, 5, 2) WHEN ''dead'' THEN IF(request IS NULL, 6, 3) END) STORED,
                       ADD COLUMN kept_since DATETIME(6) AS (CASE WHEN status IN (''sent'', ''skipped'', ''dead'')
                         THEN IF(committed_at > updated_at, committed_at, updated_at) END) STORED,
                       ADD KEY records_by_keeping (keep_stage, kept_since, id)', 'DO 0');
PREPARE outrider_migration FROM @statement;
EXECUTE outrider_migration;
DEALLOCATE PREPARE outrider_migration;

-- How many records of a shard were removed, in the transaction that removed them: what verify adds to those that are there.
CREATE TABLE IF NOT EXISTS record_removals (
  shard         SMALLINT        NOT NULL PRIMARY KEY,
  records       BIGINT UNSIGNED NOT NULL,
  updated_at    DATETIME(6)     NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
