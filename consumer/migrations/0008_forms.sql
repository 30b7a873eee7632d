-- Which form of the message is sent: 0 the request's own; simpler ones after a vendor refused the form.
SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()
                       AND table_name = 'notification_records' AND column_name = 'form_no') = 0,
                    'ALTER TABLE notification_records ADD COLUMN form_no SMALLINT NOT NULL DEFAULT 0', 'DO 0');
PREPARE outrider_migration FROM @statement;
EXECUTE outrider_migration;
DEALLOCATE PREPARE outrider_migration;
