-- Who stands by, and how many sources it leads: a leader of more than its share hands one over. Rows of replicas that
-- have gone are ignored once they are old, and removed at the next take-over.
CREATE TABLE IF NOT EXISTS outbox_replicas (
  source   VARCHAR(64)  NOT NULL,
  owner    VARCHAR(128) NOT NULL,
  leads    INT UNSIGNED NOT NULL,
  seen_at  DATETIME(6)  NOT NULL,
  PRIMARY KEY (source, owner)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
