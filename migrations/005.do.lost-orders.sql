-- What is known of each epoch of a partition's counter of accepted orders, beside Redis.
CREATE TABLE accepted_epochs (
  epoch        CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  partition_no SMALLINT NOT NULL,
  highest      BIGINT NOT NULL DEFAULT 0 COMMENT 'highest count that an api saw, noted when Redis had lost it',
  restored     BIGINT NULL COMMENT 'the count that Redis had been restored to then',
  ended_to     BIGINT NOT NULL DEFAULT 0 COMMENT 'every order up to this one has reached an end',
  acknowledged BIGINT NULL COMMENT 'lost orders of the epoch that an operator has acknowledged; none before that',
  PRIMARY KEY (epoch, partition_no)
) ENGINE = InnoDB;

-- Orders that were accepted before this table was there count as ended.
INSERT INTO accepted_epochs (epoch, partition_no, ended_to)
SELECT epoch, partition_no, MAX(highest) FROM accepted_seen GROUP BY epoch, partition_no
ON DUPLICATE KEY UPDATE ended_to = GREATEST(ended_to, VALUES(ended_to));

-- Accepted orders that have reached an end in MySQL, by their numbers: the audit counts as lost what is in neither store.
-- Of rows only the newest are kept, since a worker raises `ended_to`; of duplicates and conflicts all are.
CREATE TABLE accepted_ended (
  id           BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  epoch        CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  partition_no SMALLINT NOT NULL,
  kind         ENUM('row', 'duplicate', 'conflict') NOT NULL,
  first_no     BIGINT NOT NULL,
  last_no      BIGINT NOT NULL,
  KEY accepted_ended_last (epoch, partition_no, kind, last_no)
) ENGINE = InnoDB;

CREATE TABLE loss_acknowledgements (
  id              BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  acknowledged_at DATETIME(3) NOT NULL COMMENT 'UTC',
  lost            BIGINT NOT NULL COMMENT 'orders',
  reason          VARCHAR(500) NOT NULL,
  client          VARCHAR(64) NOT NULL COMMENT 'address of whoever asked',
  request_id      VARCHAR(128) NOT NULL
) ENGINE = InnoDB;
