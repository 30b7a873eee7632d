-- Under which key a private record's request, and a rejected event's value, are sealed. NULL: they aren't. No index: who looks for
-- rows of an old key walks the unfinished ones (records_by_status) and the rejected ones. Both servers add the columns without copying.
SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()
                       AND table_name = 'notification_records' AND column_name = 'sealed_by') = 0,
                    'ALTER TABLE notification_records ADD COLUMN sealed_by VARCHAR(32) NULL', 'DO 0');
PREPARE outrider_migration FROM @statement;
EXECUTE outrider_migration;
SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()
                       AND table_name = 'rejected_events' AND column_name = 'sealed_by') = 0,
                    'ALTER TABLE rejected_events ADD COLUMN sealed_by VARCHAR(32) NULL', 'DO 0');
PREPARE outrider_migration FROM @statement;
EXECUTE outrider_migration;
DEALLOCATE PREPARE outrider_migration;
