-- The account of the connector and of purge.py, and the one table that purge.py writes to. For MariaDB and MySQL, by
-- somebody who may create accounts; put the names of the database and of the outbox, and a password.

CREATE USER IF NOT EXISTS 'debezium'@'%' IDENTIFIED BY 'change-me';
-- The binary log, its positions, and a read lock for the moment at which a snapshot begins.
GRANT RELOAD, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'debezium'@'%';
GRANT SELECT, DELETE ON shop.outbox TO 'debezium'@'%';

-- One row, rewritten while purge.py waits: the connector reads it in the binary log and notes how far it has come.
CREATE TABLE IF NOT EXISTS shop.outbox_purge_mark (
  id        TINYINT     NOT NULL PRIMARY KEY,
  marked_at DATETIME(6) NOT NULL
) ENGINE=InnoDB;
GRANT SELECT, INSERT, UPDATE ON shop.outbox_purge_mark TO 'debezium'@'%';
