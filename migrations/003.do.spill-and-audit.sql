-- What an order needs that was accepted while Redis was away, what became of one that failed, and what the audit counts.
ALTER TABLE orders
  ADD COLUMN message_id     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'message that made the row; none for a spilled order',
  ADD COLUMN tax_rate       DECIMAL(7, 6) NULL COMMENT 'rate in force at accept, of a spilled order',
  ADD COLUMN request_id     VARCHAR(128) NULL COMMENT 'of a spilled order',
  ADD COLUMN traceparent    VARCHAR(55) NULL COMMENT 'of a spilled order',
  ADD COLUMN failure_code   VARCHAR(64) NULL,
  ADD COLUMN failure_detail VARCHAR(1000) NULL;

ALTER TABLE order_totals
  ADD COLUMN accepted BIGINT NOT NULL DEFAULT 0 COMMENT 'orders accepted here, not in Redis';

-- Finished orders whose document and event Redis does not have yet.
CREATE TABLE outbox (
  id       BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
) ENGINE = InnoDB;

-- The highest number of an accepted order that was seen, for each life of each partition's counter: a Redis that lost
-- data has a newer life or a lower count. Writers spread over slots, as in order_totals.
CREATE TABLE accepted_seen (
  epoch        CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  partition_no SMALLINT NOT NULL,
  slot         SMALLINT NOT NULL,
  highest      BIGINT NOT NULL,
  PRIMARY KEY (epoch, partition_no, slot)
) ENGINE = InnoDB;
