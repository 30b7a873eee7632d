-- Whether a record was counted in its tenant's quotas; only tenants that have one are.
SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()
                       AND table_name = 'notification_records' AND column_name = 'counted_in_quota') = 0,
                    'ALTER TABLE notification_records ADD COLUMN counted_in_quota BOOLEAN NOT NULL DEFAULT FALSE', 'DO 0');
PREPARE outrider_migration FROM @statement;
EXECUTE outrider_migration;
DEALLOCATE PREPARE outrider_migration;

-- How many notifications a tenant's quota has let go in a day (UTC). Written in the transaction of the claim.
CREATE TABLE IF NOT EXISTS quota_counters (
  day           DATE            NOT NULL,
  tenant        VARCHAR(64)     NOT NULL,
  kind          VARCHAR(16)     NOT NULL,   -- channel, provider
  name          VARCHAR(64)     NOT NULL,
  used          BIGINT          NOT NULL,
  updated_at    DATETIME(6)     NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (day, tenant, kind, name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
